"""Sources of pictures with texts: tables beside pictures, webdataset tar files."""
