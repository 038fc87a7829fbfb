//! Plugins beside the group's log, so that a host which restarts alone has what its log speaks of.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use colony_wasm::content_id;
use colony_wire::limits::MAX_PLUGIN_BYTES;
use colony_wire::plugin::ContentId;

/// Below the data folder.
const FOLDER: &str = "plugins";

/// One file for each version, named by its content id.
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    pub(super) fn in_data_dir(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER) }
    }

    /// Writes a version. When it returns the bytes are on the disk: a voter answers for them.
    pub(super) fn write(&self, content: ContentId, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(content);
        if self.read(content).is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        // Two that write the same version write the same bytes.
        let half = path.with_extension("part");
        let mut file = File::create(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&half, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Reads a version. A file that holds something else is as good as none.
    pub(super) fn read(&self, content: ContentId) -> Option<Bytes> {
        let mut bytes = Vec::new();
        let file = File::open(self.path(content)).ok()?;
        file.take(MAX_PLUGIN_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
        (content_id(&bytes) == content).then(|| bytes.into())
    }

    /// Removes a version. A file that stays is no harm: it is never read for another.
    pub(super) fn remove(&self, content: ContentId) {
        if let Err(error) = fs::remove_file(self.path(content))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(content = %content.short(), %error, "a plugin's file was not removed");
        }
    }

    /// Removes every version that is not to be kept.
    pub(super) fn sweep(&self, is_kept: impl Fn(ContentId) -> bool) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            let content = name.to_str().and_then(|name| name.strip_suffix(".wasm")).and_then(from_hex);
            if let Some(content) = content.filter(|content| !is_kept(*content)) {
                self.remove(content);
            }
        }
    }

    fn path(&self, content: ContentId) -> PathBuf {
        self.folder.join(format!("{content}.wasm"))
    }
}

fn from_hex(digits: &str) -> Option<ContentId> {
    let mut content = [0; 32];
    if digits.len() != 2 * content.len() || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in content.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(ContentId(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_damaged_is_not_read() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let disk = Disk::in_data_dir(folder.path());
        let (bytes, other) = (b"whole".as_slice(), b"holed".as_slice());
        let content = content_id(bytes);
        assert_eq!(disk.read(content), None);
        disk.write(content, bytes).expect("it can be written");
        assert_eq!(disk.read(content).as_deref(), Some(bytes));
        fs::write(disk.path(content), other).expect("it can be damaged");
        assert_eq!(disk.read(content), None);
        disk.write(content, bytes).expect("it can be mended");
        assert_eq!(disk.read(content).as_deref(), Some(bytes));
        disk.sweep(|kept| kept == content);
        assert!(disk.read(content).is_some());
        disk.sweep(|_| false);
        assert_eq!(disk.read(content), None);
    }
}
