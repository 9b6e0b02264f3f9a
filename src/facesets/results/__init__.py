"""What is written into people's folders: photos, crops, manifests; and what people changed there since."""
