//! A disk in memory.

use std::io;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use redb::StorageBackend;

/// A disk in memory that outlives the process on it. Clones are the same disk. Empty at first.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    bytes: Arc<RwLock<Vec<u8>>>,
}

impl MemoryDisk {
    /// What is on this disk now, on another: what a process that is killed now leaves behind, whatever is done to this
    /// one while its remains are cleared away.
    #[must_use]
    pub fn copy(&self) -> Self {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner).clone();
        Self { bytes: Arc::new(RwLock::new(bytes)) }
    }
}

fn range(offset: u64, len: usize, end: usize) -> io::Result<Range<usize>> {
    let start = usize::try_from(offset).ok().filter(|start| start.checked_add(len).is_some_and(|to| to <= end));
    let start = start.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of the disk"))?;
    Ok(start..start + len)
}

impl StorageBackend for MemoryDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        out.copy_from_slice(&bytes[range(offset, out.len(), bytes.len())?]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.bytes.write().unwrap_or_else(PoisonError::into_inner).resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let range = range(offset, data.len(), bytes.len())?;
        bytes[range].copy_from_slice(data);
        Ok(())
    }
}
