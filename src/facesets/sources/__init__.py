"""Sources of images: folders, galleries and download lists."""
