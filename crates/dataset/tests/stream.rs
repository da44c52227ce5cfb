//! The stream gives what its recipe, seed and numbers say, whoever makes it and in whatever order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use atomlens_dataset::{DatasetError, Recipe, Resources, Sample, SampleStream, Simulator, StreamSettings};

const SMALL: &str = r#"
name = "small"
[image]
pixels = [56, 48]
pixel_size_angstrom = { uniform = [0.24, 0.26] }
margin_angstrom = 2
[wave]
energy_kev = 300
sampling_angstrom = 0.2
slice_thickness_angstrom = 2
[specimen.body]
kind = "nanoparticle"
element = "Au"
radius_angstrom = 4
[specimen.stage]
margin_angstrom = 1
[optics]
defocus_angstrom = { uniform = [0, 100] }
focal_spread = { one_over_e_angstrom = 30 }
[camera]
dose_e_per_a2 = { log_uniform = [100, 1000] }
"#;

fn simulator(changes: &[(&str, &str)], seed: u64) -> Simulator {
    let mut text = SMALL.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    Simulator::new(Recipe::parse(&text).unwrap(), Resources::default(), seed).unwrap()
}

const THREE_PER_WAVE: (&str, &str) = ("energy_kev = 300", "energy_kev = 300\nimages_per_wave = 3");

fn plain(threads: usize) -> StreamSettings {
    StreamSettings { threads, rotation: 1, look_ahead: 4, first: 0, end: None }
}

fn take(simulator: &Simulator, settings: StreamSettings, count: usize) -> Vec<Sample> {
    SampleStream::new(simulator.clone(), settings).take(count).map(|sample| sample.unwrap()).collect()
}

#[test]
fn samples_do_not_depend_on_threads_or_look_ahead() {
    for (changes, rotation) in [(vec![], 1), (vec![THREE_PER_WAVE], 1), (vec![THREE_PER_WAVE], 2)] {
        let simulator = simulator(&changes, 7);
        let expected = take(&simulator, StreamSettings { rotation, ..plain(1) }, 11);
        for (threads, look_ahead) in [(2, 1), (2, 9), (5, 3), (5, 64)] {
            let settings = StreamSettings { rotation, look_ahead, ..plain(threads) };
            assert!(take(&simulator, settings, 11) == expected, "{threads} threads, {look_ahead} ahead");
        }
    }
}

#[test]
fn the_stream_gives_the_simulators_samples() {
    let simulator = simulator(&[], 3);
    let made: Vec<Sample> = (0..5).map(|index| simulator.sample(index).unwrap()).collect();
    assert_eq!(take(&simulator, plain(2), 5), made);
    assert!(made.iter().enumerate().all(|(index, sample)| sample.index == index as u64));
    assert_ne!(simulator.sample(0).unwrap(), simulator_of_another_seed().sample(0).unwrap());

    let reusing = self::simulator(&[THREE_PER_WAVE], 3);
    let ready = reusing.expose_ready(0).unwrap();
    let made: Vec<Sample> = (0..3).map(|index| reusing.expose(&ready, index).unwrap()).collect();
    assert_eq!(take(&reusing, plain(2), 3), made);
}

fn simulator_of_another_seed() -> Simulator {
    simulator(&[], 4)
}

#[test]
fn waves_serve_as_many_images_as_stated_and_are_renewed_in_turn() {
    let simulator = simulator(&[THREE_PER_WAVE], 1);
    let settings = StreamSettings { rotation: 2, ..plain(2) };
    let samples = take(&simulator, settings, 24);
    let mut served: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for sample in &samples {
        served.entry(sample.drawn.specimen).or_default().push(sample.index);
    }
    // The head start of the second slot is its first specimen's; the last of each slot may go on.
    let last = *served.keys().max().unwrap();
    for (specimen, indices) in served.iter().filter(|(specimen, _)| **specimen >= 2 && **specimen + 2 <= last) {
        assert_eq!(indices.len(), 3, "specimen {specimen}: {indices:?}");
        assert!(indices.windows(2).all(|pair| pair[1] == pair[0] + 2), "turn and turn about: {indices:?}");
    }
    assert!(served.len() >= 8);
    // Never are two specimens renewed at once.
    let renewed: Vec<u64> = served.values().map(|indices| indices[0]).filter(|first| *first >= 2).collect();
    assert!(renewed.iter().all(|first| !renewed.contains(&(first + 1))), "{renewed:?}");
    for (n, a) in samples.iter().enumerate() {
        for b in &samples[..n] {
            assert_ne!(a.micrograph.counts, b.micrograph.counts, "images {} and {}", b.index, a.index);
            assert_ne!(a.drawn.defocus_angstrom, b.drawn.defocus_angstrom);
            assert_eq!(a.structure == b.structure, a.drawn.specimen == b.drawn.specimen);
        }
    }
}

#[test]
fn a_stream_goes_on_where_it_is_told_and_ends_where_it_is_told() {
    let simulator = simulator(&[THREE_PER_WAVE], 2);
    for (rotation, first) in [(1, 4), (2, 5), (3, 7)] {
        let whole = take(&simulator, StreamSettings { rotation, ..plain(2) }, 12);
        let rest = StreamSettings { rotation, first, end: Some(12), ..plain(2) };
        let rest: Vec<Sample> = SampleStream::new(simulator.clone(), rest).map(|sample| sample.unwrap()).collect();
        assert!(rest == whole[first as usize..], "rotation {rotation} from {first}");
    }
    for (first, end) in [(0, 0), (5, 5), (6, 2)] {
        let settings = StreamSettings { first, end: Some(end), ..plain(3) };
        assert_eq!(SampleStream::new(simulator.clone(), settings).count(), 0);
    }
}

#[test]
fn what_cannot_be_made_is_an_error_in_its_place() {
    let large = simulator(&[("radius_angstrom = 4", "radius_angstrom = 40")], 0);
    let mut stream = SampleStream::new(large, StreamSettings { look_ahead: 2, ..plain(2) });
    for _ in 0..6 {
        let error = stream.next().unwrap().unwrap_err();
        assert!(matches!(*error, DatasetError::Specimen(_)), "{error}");
        assert!(error.to_string().contains("enlarge the field of view"), "{error}");
    }
    // Where only some specimens do not fit, the others come all the same.
    let some = simulator(&[("radius_angstrom = 4", "radius_angstrom = { choice = [4, 40] }")], 0);
    let results: Vec<bool> = SampleStream::new(some, plain(2)).take(16).map(|result| result.is_ok()).collect();
    assert!(results.contains(&true) && results.contains(&false), "{results:?}");
}

#[test]
fn no_more_than_look_ahead_is_made_before_it_is_asked_for() {
    let simulator = simulator(&[], 5);
    let began = Instant::now();
    drop(take(&simulator, plain(1), 4));
    let each = began.elapsed() / 4;
    let mut stream = SampleStream::new(simulator, StreamSettings { look_ahead: 3, ..plain(2) });
    std::thread::sleep(12 * each + Duration::from_millis(50));
    let ready = stream.ready_count();
    assert!((1..=3).contains(&ready), "{ready} are ready");
    stream.next().unwrap().unwrap();
    std::thread::sleep(6 * each + Duration::from_millis(50));
    assert!(stream.ready_count() <= 3);
}

const LONG_MOVIE: (&str, &str) = ("[camera]", "[dynamics]\nframes = 100000\n[camera]");

#[test]
fn a_stream_that_is_dropped_stops_at_once() {
    let movie = simulator(&[LONG_MOVIE], 0);
    let stream = SampleStream::new(movie, plain(2));
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    drop(stream);
    // A frame takes milliseconds; all of them would take many minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    let mut stream = SampleStream::new(simulator(&[], 0), plain(3));
    stream.next().unwrap().unwrap();
    drop(stream);
}

#[test]
fn a_stream_that_is_cancelled_says_so() {
    let cancelled = Arc::new(AtomicBool::new(false));
    let mut stream = SampleStream::cancellable(simulator(&[LONG_MOVIE], 0), plain(2), cancelled.clone());
    let flag = cancelled.clone();
    let user = std::thread::Builder::new().name("user".to_owned()).spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        flag.store(true, Ordering::Relaxed);
    });
    assert!(matches!(*stream.next().unwrap().unwrap_err(), DatasetError::Stopped));
    user.unwrap().join().unwrap();
}
