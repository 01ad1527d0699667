"""Folders of models as transformers writes them: config.json, safetensors, names of tensors, the Hub."""
