"""Other products' exports, read into one form. One file per product; nothing here touches the database."""
