"""Published weights: registered, downloaded, verified, converted to safetensors and loaded."""
