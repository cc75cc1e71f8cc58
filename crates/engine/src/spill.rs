//! How much of the disk for temporary files questions may fill.

use std::path::Path;

/// What is always left free, in bytes.
const LEFT_FREE: u64 = 5 << 30;
/// Where the free space is not known.
const UNKNOWN_SPACE: u64 = 1 << 30;

/// A tenth of the space that is free in a directory, and no more than leaves 5 GiB of it.
pub(crate) fn default_spill_bytes(directory: &Path) -> u64 {
    match rustix::fs::statvfs(directory) {
        Ok(disk) => share(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(_) => UNKNOWN_SPACE,
    }
}

fn share(free_bytes: u64) -> u64 {
    (free_bytes / 10).min(free_bytes.saturating_sub(LEFT_FREE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small disk keeps its reserve, of a large one a tenth is used.
    #[test]
    fn a_share_leaves_a_reserve() {
        assert_eq!(share(100 << 30), 10 << 30);
        assert_eq!(share((5 << 30) + 7), 7);
        assert_eq!(share(1 << 30), 0);
        assert!(default_spill_bytes(&std::env::temp_dir()) < u64::MAX / 10);
    }
}
