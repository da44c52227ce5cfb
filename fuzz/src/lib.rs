//! What every target does with its bytes: opens them as a file of a name, and reads as a program would.

use std::path::Path;
use std::sync::Arc;

use atomlens_formats::signal::{Input, Signal, open_input};

/// More elements than this are not read of a signal: what is sought is faults, not large pictures.
const MOST_ELEMENTS: u64 = 1 << 16;

/// Opens `bytes` under each of the names and reads the beginning and the end of every signal.
pub fn read_all(names: &[&str], bytes: &[u8]) {
    for name in names {
        let Ok(input) = Input::of_bytes(Path::new(name), Arc::new(bytes.to_vec())) else { continue };
        match open_input(&input) {
            Ok(file) => {
                assert!(file.notes.iter().all(|note| !note.contains('\n')), "{:?}", file.notes);
                file.signals.iter().take(16).for_each(read);
                let _ = file.image().map(Signal::kind);
            }
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(name) && !message.contains('\n'), "{message}");
            }
        }
    }
}

fn read(signal: &Signal) {
    let elements = signal.elements();
    let some = elements.min(MOST_ELEMENTS);
    if let Ok(read) = signal.read(0, some as usize) {
        assert_eq!(read.len(), some as usize * signal.pixel.bytes());
    }
    let _ = signal.read(elements - some, some as usize);
    assert!(signal.read(elements, 1).is_err());
    let _ = (signal.kind(), signal.pixel_size(), signal.metadata.to_string());
    if let Some((y, x)) = signal.image_axes()
        && (y.size as u64).saturating_mul(x.size as u64) <= MOST_ELEMENTS
        && signal.frames() > 0
        && let Ok(frame) = signal.frame(signal.frames() - 1)
    {
        assert_eq!(frame.dim(), (y.size, x.size));
    }
}
