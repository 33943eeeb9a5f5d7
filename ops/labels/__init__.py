"""Labels, as operators bring and judge them."""
