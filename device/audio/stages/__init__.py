"""Single-channel stages behind the array; each keeps sample i out in the place of sample i in, a little later."""
