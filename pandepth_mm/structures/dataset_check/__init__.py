"""What the files of a data set hold, and what is wrong with them."""
