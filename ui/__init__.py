"""Where it is asked: the page in the browser and the command line."""
