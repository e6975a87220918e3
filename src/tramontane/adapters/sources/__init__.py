"""Where weights come from: package indexes, model hubs, files and bundles; their checks; their arrival on this machine."""
