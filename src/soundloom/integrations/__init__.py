"""Adapters to other tools: scikit-learn, PyTorch and Hugging Face data sets, MCP, browsers without a server.

Each module needs one package beside the base installation and is imported by its own name; none is imported here.

    soundloom.integrations.sound_embedder    scikit-learn transformer (the extra ``sklearn``)
    soundloom.integrations.torch_dataset     PyTorch data set of a corpus or a library
    soundloom.integrations.hf_datasets       corpora to and from Hugging Face data sets (the extra ``datasets``)
    soundloom.integrations.mcp_server        MCP server over a library (the extra ``mcp``)
    soundloom.integrations.static_map        map of a library with its sounds, as a folder for a browser
"""
