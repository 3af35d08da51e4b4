"""Files that outlive a lease for a while: screenshots, downloads, films and traces."""
