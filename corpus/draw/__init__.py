"""The pictures of the sample collection, drawn by code: screens, scans, photographs and plans."""
