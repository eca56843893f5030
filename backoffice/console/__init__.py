"""What staff see: the composed console."""
