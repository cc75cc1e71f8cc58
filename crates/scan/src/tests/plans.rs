//! Plans of the scan as generic rules see them.
