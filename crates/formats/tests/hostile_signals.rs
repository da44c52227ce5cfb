//! Damaged and malicious files of microscopes: every reader answers with signals or with one line that says what is wrong.
//! A panic fails these tests; so does taking more time or memory than files of a few kilobytes can ask for.
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod synthetic;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atomlens_core::SeedPath;
use atomlens_formats::FormatError;
use atomlens_formats::signal::{Input, SignalFile, open, open_input};
use rand::RngExt;

use synthetic::{DmTag, Order, corpus, dm, dm_image, emi, ser};

fn read(name: &str, bytes: &[u8]) -> Result<SignalFile, FormatError> {
    open_input(&Input::of_bytes(Path::new(name), Arc::new(bytes.to_vec()))?)
}

/// Does with a file what a program would; says whether it is taken for a good one.
fn exercise(name: &str, bytes: &[u8]) -> bool {
    let start = Instant::now();
    let good = match read(name, bytes) {
        Ok(file) => file.signals.iter().all(|signal| {
            let (elements, some) = (signal.elements(), signal.elements().min(5000));
            assert!(!signal.kind().is_empty() && signal.metadata.to_string().len() < 1 << 20);
            signal.pixel_size();
            let first = signal.read(0, some as usize).map(|bytes| bytes.len());
            assert!(first.is_err() || first.is_ok_and(|length| length == some as usize * signal.pixel.bytes()));
            assert!(signal.read(elements, 1).is_err());
            let frame = if signal.is_image() && signal.frames() > 0 {
                signal.frame(signal.frames() - 1).map(|frame| assert!(frame.len() as u64 <= elements))
            } else {
                signal.frame(0).map(drop).or(Ok(()))
            };
            signal.read(elements - some, some as usize).is_ok() && frame.is_ok()
        }),
        Err(error) => {
            clear(name, &error);
            false
        }
    };
    // What takes milliseconds gets seconds: the machine may be busy.
    assert!(start.elapsed() < Duration::from_secs(10), "{name} took {:?}", start.elapsed());
    good
}

/// One line, not a page.
fn clear(name: &str, error: &FormatError) {
    let message = error.to_string();
    assert!(message.contains(name) && message.len() < 600 && !message.contains('\n'), "{name}: {message}");
}

/// The most memory that the process has asked for so far, in kilobytes: also what it never touched.
fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?.split_whitespace().next()?.parse().ok()
}

/// Runs a test and sees that it did not ask for more than a few files' worth of memory.
fn within_memory(test: impl FnOnce()) {
    // Stacks and arenas of the threads of the other tests are in the figure too.
    const LIMIT_KILOBYTES: u64 = 1 << 19;
    let before = peak_kilobytes();
    test();
    match before.zip(peak_kilobytes()) {
        Some((before, after)) => assert!(after - before < LIMIT_KILOBYTES, "{} kB were asked for", after - before),
        None => eprintln!("SKIPPED: memory is not watched, there is no /proc here"),
    }
}

#[test]
fn the_corpus_is_good() {
    for (name, bytes) in corpus() {
        let file = read(name, &bytes).unwrap_or_else(|error| panic!("{error}"));
        assert!(!file.signals.is_empty(), "{name}");
        assert!(exercise(name, &bytes), "{name}");
    }
}

#[test]
fn every_truncation() {
    within_memory(|| {
        for (name, bytes) in corpus() {
            let step = if bytes.len() > 3000 { 3 } else { 1 };
            for length in (0..bytes.len()).step_by(step) {
                exercise(name, &bytes[..length]);
            }
            // All but the last bytes of a DM file, which hold nothing, matter; a recording may end between two frames,
            // and the places of times at the end of a series are not needed.
            let telling =
                if name.ends_with("dm3") || name.ends_with("dm4") { bytes.len() - 20 } else { bytes.len() / 2 };
            assert!(!exercise(name, &bytes[..telling]) || name.ends_with("tvips"), "{name}: half a file is not good");
        }
    });
}

#[test]
fn random_damage() {
    within_memory(|| {
        for (name, good) in corpus() {
            let mut random = SeedPath::new(11).child(name).stream();
            for _ in 0..1500 {
                let mut bytes = good.clone();
                for _ in 0..random.random_range(1..5) {
                    let place = random.random_range(0..bytes.len());
                    match random.random_range(0..5) {
                        0 => bytes[place] ^= 1 << random.random_range(0..8),
                        1 => bytes[place] = random.random(),
                        2 => {
                            // Numbers that are huge, negative or zero in any byte order and width.
                            let value = [0u8, 0x7f, 0x80, 0xff][random.random_range(0..4)];
                            let end = (place + [2, 4, 8][random.random_range(0..3)]).min(bytes.len());
                            bytes[place..end].fill(value);
                        }
                        3 => bytes.truncate(place.max(1)),
                        _ => {
                            let piece = bytes[place..(place + 30).min(bytes.len())].to_vec();
                            let target = random.random_range(0..bytes.len());
                            bytes.splice(target..target, piece);
                        }
                    }
                }
                exercise(name, &bytes);
            }
        }
    });
}

#[test]
fn every_word_of_a_header_at_its_limits() {
    within_memory(|| {
        for (name, good) in corpus() {
            for place in (0..good.len().min(1100)).step_by(2) {
                for value in [0x7fff_ffffu32, 0xffff_ffff, 0, 0x8000_0000, 0x0fff_ffff] {
                    for word in [value.to_le_bytes(), value.to_be_bytes()] {
                        let mut bytes = good.clone();
                        let end = (place + 4).min(bytes.len());
                        bytes[place..end].copy_from_slice(&word[..end - place]);
                        exercise(name, &bytes);
                    }
                }
            }
        }
    });
}

#[test]
fn files_of_another_kind_under_every_name() {
    let corpus = corpus();
    for (name, _) in &corpus {
        for (_, bytes) in &corpus {
            exercise(name, bytes);
        }
        for bytes in [vec![0; 5000], vec![0xff; 5000], b"(".repeat(50_000), b"<ObjectInfo>".repeat(5000), vec![1]] {
            assert!(!exercise(name, &bytes), "{name}");
        }
        assert!(read(name, b"").unwrap_err().to_string().contains("empty"));
    }
}

#[test]
fn groups_within_groups_do_not_fill_the_stack() {
    let mut file = vec![0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1];
    for _ in 0..200_000 {
        // A group of one tag: sorted, closed, one; a nameless group.
        file.extend([1, 0, 0, 0, 0, 1, 20, 0, 0]);
    }
    let error = read("deep.dm3", &file).unwrap_err();
    assert!(error.to_string().contains("groups of tags inside one another"), "{error}");
}

#[test]
fn sizes_that_are_only_claimed() {
    within_memory(|| {
        let claim = |sizes: &[u32], count: u64| {
            let data = DmTag::Array(vec![4], count, vec![0; 16]);
            let images = DmTag::Group(vec![("", dm_image(10, sizes, data))]);
            read("claim.dm4", &dm(4, Order::Little, &[("ImageList", images)])).unwrap_err().to_string()
        };
        assert!(claim(&[100_000, 100_000], 8).contains("cut short"));
        assert!(claim(&[4, 2], 1 << 62).contains("cut short"));
        assert!(claim(&[u32::MAX; 4], 8).contains("bytes of the pixels"));
        let mut series = ser(true, true, &[2]);
        // Total and valid number of elements.
        series[14..22].fill(0xff);
        assert!(read("claim.ser", &series).unwrap_err().to_string().contains("cut short"));
        let mut image = synthetic::mrc_counting(Order::Little, 2);
        image[..12].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f].repeat(3));
        clear("claim.mrc", &read("claim.mrc", &image).unwrap_err());
        image[..12].copy_from_slice(&[0, 0, 1, 0].repeat(3));
        assert!(read("claim.mrc", &image).unwrap_err().to_string().contains("cut short"));
        // A member of an archive that says it is larger than it is.
        let array = synthetic::npy("<u2", false, "(2000000000, 2000000000)", &[0; 4]);
        let file = read("claim.npz", &synthetic::zip(&[("a.npy", &array)], true)).unwrap();
        assert!(file.signals.is_empty() && file.notes[0].contains("cut short"), "{:?}", file.notes);
    });
}

#[test]
fn a_description_without_sound_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("name.emi");
    std::fs::write(&path, emi("name", true)).unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("name_1.ser is missing"), "{error}");
    std::fs::write(folder.path().join("name_1.ser"), &ser(true, true, &[2])[..100]).unwrap();
    assert!(open(&path).unwrap_err().to_string().contains("cut short"));
    std::fs::write(folder.path().join("name_1.ser"), b"something else").unwrap();
    assert!(open(&path).unwrap_err().to_string().contains("no TIA series"));
    // A damaged description takes nothing from a good series.
    std::fs::write(folder.path().join("name_1.ser"), ser(true, true, &[2])).unwrap();
    std::fs::write(&path, b"JK<ObjectInfo><ExperimentalDescription></ObjectInfo><ObjectInfo>").unwrap();
    assert_eq!(open(&folder.path().join("name_1.ser")).unwrap().signals.len(), 1);
}
