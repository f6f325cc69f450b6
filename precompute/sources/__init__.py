"""Sources of images with texts: tables of paths, webdataset tar files, files of records, folders of images."""
