"""`make security`: what other people's rules find in this project, and why what stays may stay."""
