"""Makes a model the champion."""
