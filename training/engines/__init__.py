"""Offline engines: the features of a whole history at once, with the same bits as the online fold."""
