//! Files that appear under their name only when they are complete.

use std::io;
use std::path::Path;

use crate::ReportError;

/// Writes a file under a temporary name beside its place and then renames it, so that an interrupted program, or a
/// browser that reloads the page meanwhile, finds either the old file or the whole new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    replace(path, |partial| std::fs::write(partial, bytes))
        .map_err(|source| ReportError::Write { path: path.to_owned(), source })
}

/// The same with any way of writing.
pub(crate) fn replace<E: From<io::Error>>(path: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let written = write(partial).and_then(|()| std::fs::rename(partial, path).map_err(E::from));
    if written.is_err() {
        // The first error is the one that matters; there may be nothing to remove.
        let _ = std::fs::remove_file(partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_an_older_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        for text in ["one", "two"] {
            write(&path, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        let error = write(&folder.path().join("missing").join("page.html"), b"").unwrap_err();
        assert!(error.to_string().contains("page.html"), "{error}");
    }
}
