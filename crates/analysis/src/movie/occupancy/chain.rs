//! The two-state Markov chain of one site, and what its evidence says about its path.
//!
//! A site is empty (0) or filled (1). Between two frames that are `k` nominal frame times apart it changes with
//! ```text
//! P(0 -> 1) = f / (f + e) (1 - (1 - f - e)^k)      P(1 -> 0) = e / (f + e) (1 - (1 - f - e)^k)
//! ```
//! where `f` and `e` are the probabilities of being filled and emptied in one frame time: the exact law of a process in
//! continuous time seen at uneven times. A frame's evidence enters as its likelihood ratio, filled over empty; a frame
//! that is missing has a ratio of 1. Forward and backward passes and the likeliest path are those of L. R. Rabiner,
//! *Proc. IEEE* 77, 257 (1989), doi:10.1109/5.18626.

use atomlens_core::RandomStream;
use rand::RngExt;

/// Probabilities of a change within one nominal frame time.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Switching {
    /// That an empty site is filled.
    pub fill: f64,
    /// That a filled site is emptied.
    pub empty: f64,
}

impl Switching {
    /// Largest sum of both probabilities: beyond it the site has no memory that a process in continuous time could have.
    pub const LARGEST_SUM: f64 = 0.98;

    /// The probabilities of being found filled after empty, and empty after filled, `frames` frame times later.
    pub fn over(self, frames: f64) -> [f64; 2] {
        if frames == 1.0 {
            return [self.fill, self.empty];
        }
        let sum = (self.fill + self.empty).min(Self::LARGEST_SUM);
        if sum <= 0.0 {
            return [0.0, 0.0];
        }
        let changed = -(frames * (-sum).ln_1p()).exp_m1() / sum;
        [self.fill * changed, self.empty * changed]
    }

    /// Rates of the process in continuous time, filling and emptying, each per nominal frame time.
    pub fn rates(self) -> [f64; 2] {
        let sum = (self.fill + self.empty).min(Self::LARGEST_SUM);
        if sum <= 0.0 {
            return [0.0, 0.0];
        }
        let scale = -(-sum).ln_1p() / sum;
        [self.fill * scale, self.empty * scale]
    }
}

/// How far apart consecutive frames are, in nominal frame times.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameIntervals {
    /// The lengths that occur.
    lengths: Vec<f64>,
    /// For each step from one frame to the next the index of its length.
    index: Vec<u16>,
    /// Nominal time between frames in seconds, if times are known.
    frame_time_s: Option<f64>,
    times_s: Option<Vec<f64>>,
}

impl FrameIntervals {
    /// Lengths are told apart by this share of a frame time.
    const RESOLUTION: f64 = 0.02;
    /// Longer gaps count as this long; the site has forgotten its state by then, or does not change at all.
    const LONGEST: f64 = 1000.0;

    /// Frames at even times that are not known.
    pub fn even(frames: usize) -> FrameIntervals {
        FrameIntervals {
            lengths: vec![1.0],
            index: vec![0; frames.saturating_sub(1)],
            frame_time_s: None,
            times_s: None,
        }
    }

    /// Frames at these times in seconds; the nominal frame time is the median of their differences. `None` if they do
    /// not rise.
    pub fn at_seconds(times_s: &[f64]) -> Option<FrameIntervals> {
        let steps: Vec<f64> = times_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if steps.iter().any(|step| !(*step > 0.0 && step.is_finite())) {
            return None;
        }
        let mut sorted = steps.clone();
        sorted.sort_by(f64::total_cmp);
        let nominal = sorted.get(sorted.len() / 2).copied();
        let scaled = |step: f64| {
            let length = (step / nominal.unwrap_or(1.0)).min(Self::LONGEST);
            ((length / Self::RESOLUTION).round() * Self::RESOLUTION).max(Self::RESOLUTION)
        };
        let mut lengths: Vec<f64> = steps.iter().map(|step| scaled(*step)).collect();
        lengths.sort_by(f64::total_cmp);
        lengths.dedup();
        let index = |step: &f64| lengths.partition_point(|length| *length < scaled(*step)) as u16;
        let index = steps.iter().map(index).collect();
        // 1 exactly, so that the even step needs no power.
        let lengths =
            lengths.into_iter().map(|length| if (length - 1.0).abs() < 1e-9 { 1.0 } else { length }).collect();
        Some(FrameIntervals { lengths, index, frame_time_s: nominal, times_s: Some(times_s.to_vec()) })
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.index.len() + 1
    }

    /// Nominal time between frames, in seconds, if known.
    pub fn frame_time_s(&self) -> Option<f64> {
        self.frame_time_s
    }

    /// The time of a frame in seconds, if known.
    pub fn time_s(&self, frame: usize) -> Option<f64> {
        self.times_s.as_ref().and_then(|times| times.get(frame).copied())
    }

    /// The length of the step that leads to `frame`, in nominal frame times.
    pub fn length(&self, frame: usize) -> f64 {
        self.lengths[usize::from(self.index[frame - 1])]
    }

    /// Sum of all steps.
    pub fn duration_frames(&self) -> f64 {
        self.index.iter().map(|index| self.lengths[usize::from(*index)]).sum()
    }

    /// Those of some of the frames, given in ascending order, as if the others had not been.
    pub(super) fn of_frames(&self, frames: &[usize]) -> FrameIntervals {
        let steps: Vec<f64> = frames
            .windows(2)
            .map(|pair| {
                let length: f64 = (pair[0] + 1..=pair[1]).map(|frame| self.length(frame)).sum();
                length.min(Self::LONGEST)
            })
            .collect();
        let mut lengths = steps.clone();
        lengths.sort_by(f64::total_cmp);
        lengths.dedup();
        let index = steps.iter().map(|step| lengths.partition_point(|length| length < step) as u16).collect();
        FrameIntervals { lengths, index, frame_time_s: self.frame_time_s, times_s: None }
    }

    pub(super) fn lengths(&self) -> &[f64] {
        &self.lengths
    }

    pub(super) fn index(&self, frame: usize) -> usize {
        usize::from(self.index[frame - 1])
    }
}

/// What a pass over one site adds up to, given the evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Passed {
    /// Logarithm of the likelihood of the evidence, by that of an empty site throughout.
    pub log_likelihood: f64,
    /// Expected number of steps from empty to filled.
    pub gains: f64,
    /// Expected number of steps from filled to empty.
    pub losses: f64,
    /// Expected time empty before a step, in nominal frame times as they count for the probability of one frame.
    pub time_empty: f64,
    /// The same for filled.
    pub time_filled: f64,
}

/// A site's chain: its switching, and the probability that it is filled in the first frame.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    /// Frame times.
    pub intervals: &'a FrameIntervals,
    /// Rates.
    pub switching: Switching,
    /// Probability of filled in the first frame.
    pub initial: f64,
}

impl Chain<'_> {
    fn steps(&self) -> Vec<[f64; 2]> {
        self.intervals.lengths().iter().map(|length| self.switching.over(*length)).collect()
    }

    /// Filters: writes the probability of filled given the evidence up to each frame and answers the log-likelihood.
    fn forward(&self, ratio: &[f64], steps: &[[f64; 2]], filtered: &mut [f64]) -> f64 {
        let (mut log_sum, mut product) = (0.0, 1.0);
        let mut predicted = self.initial;
        for (frame, ratio) in ratio.iter().enumerate() {
            if frame > 0 {
                let [fill, empty] = steps[self.intervals.index(frame)];
                let before = filtered[frame - 1];
                predicted = before * (1.0 - empty) + (1.0 - before) * fill;
            }
            let norm = predicted * ratio + 1.0 - predicted;
            filtered[frame] = predicted * ratio / norm;
            product *= norm;
            if frame % 16 == 15 {
                log_sum += product.ln();
                product = 1.0;
            }
        }
        log_sum + product.ln()
    }

    /// Logarithm of the likelihood of the evidence, by that of an empty site throughout.
    pub(super) fn log_likelihood(&self, ratio: &[f64], scratch: &mut Vec<f64>) -> f64 {
        scratch.resize(ratio.len(), 0.0);
        self.forward(ratio, &self.steps(), scratch)
    }

    /// Logarithm of the probability, without any evidence, that the site is empty throughout.
    pub(super) fn log_prior_of_never(&self) -> f64 {
        let stays: Vec<f64> = self.steps().iter().map(|[fill, _]| (-fill).ln_1p()).collect();
        (-self.initial).ln_1p()
            + (1..self.intervals.frames()).map(|frame| stays[self.intervals.index(frame)]).sum::<f64>()
    }

    /// The probability of filled in each frame given all evidence, and of a loss and of a gain in the step that leads to
    /// each frame (0 for the first), for likelihood ratios `[frame]`. All slices are of the same length.
    pub fn smooth(&self, ratio: &[f64], filled: &mut [f32], loss: &mut [f32], gain: &mut [f32]) -> Passed {
        let mut passed = Passed::default();
        let Some(last) = ratio.len().checked_sub(1) else { return passed };
        let steps = self.steps();
        // How long a step counts: the probability of a change in it by that in one frame.
        let weights: Vec<[f64; 2]> = steps
            .iter()
            .zip(self.intervals.lengths())
            .map(|(step, length)| {
                let of = |step: f64, one: f64| if one > 0.0 { step / one } else { *length };
                [of(step[0], self.switching.fill), of(step[1], self.switching.empty)]
            })
            .collect();
        let mut filtered = vec![0.0; ratio.len()];
        passed.log_likelihood = self.forward(ratio, &steps, &mut filtered);
        let mut after = filtered[last];
        filled[last] = after as f32;
        for frame in (1..=last).rev() {
            let at = self.intervals.index(frame);
            let [fill, empty] = steps[at];
            let before = filtered[frame - 1];
            let predicted = before * (1.0 - empty) + (1.0 - before) * fill;
            // Of a site that is filled (empty) now, the share that was empty (filled) before.
            let was_empty = if predicted > 0.0 { (1.0 - before) * fill / predicted } else { 0.0 };
            let was_filled = if predicted < 1.0 { before * empty / (1.0 - predicted) } else { 0.0 };
            let (gained, lost) = (after * was_empty, (1.0 - after) * was_filled);
            gain[frame] = gained as f32;
            loss[frame] = lost as f32;
            after = after - gained + lost;
            filled[frame - 1] = after as f32;
            passed.gains += gained;
            passed.losses += lost;
            passed.time_empty += (1.0 - after) * weights[at][0];
            passed.time_filled += after * weights[at][1];
        }
        gain[0] = 0.0;
        loss[0] = 0.0;
        passed
    }

    /// The likeliest path.
    pub fn likeliest(&self, ratio: &[f64], path: &mut [bool]) {
        let Some(last) = ratio.len().checked_sub(1) else { return };
        let logs: Vec<[f64; 4]> = self
            .steps()
            .iter()
            .map(|[fill, empty]| [(-fill).ln_1p(), fill.ln(), empty.ln(), (-empty).ln_1p()])
            .collect();
        let mut from = vec![[false; 2]; ratio.len()];
        let mut best = [(-self.initial).ln_1p(), self.initial.ln() + ratio[0].ln()];
        for frame in 1..=last {
            let [stay_empty, fill, empty, stay_filled] = logs[self.intervals.index(frame)];
            let to_empty = [best[0] + stay_empty, best[1] + empty];
            let to_filled = [best[0] + fill, best[1] + stay_filled];
            from[frame] = [to_empty[1] > to_empty[0], to_filled[1] >= to_filled[0]];
            best = [to_empty[0].max(to_empty[1]), to_filled[0].max(to_filled[1]) + ratio[frame].ln()];
        }
        path[last] = best[1] > best[0];
        for frame in (1..=last).rev() {
            path[frame - 1] = from[frame][usize::from(path[frame])];
        }
    }

    /// A path drawn from its distribution given all evidence (forward filtering, backward sampling: S. Chib, *J.
    /// Econometrics* 75, 79 (1996), doi:10.1016/0304-4076(95)01770-4): the state in the first frame, and the frames by
    /// which it changed.
    pub fn draw(&self, ratio: &[f64], random: &mut RandomStream, scratch: &mut Vec<f64>) -> DrawnPath {
        let Some(last) = ratio.len().checked_sub(1) else {
            return DrawnPath { filled_at_first: false, switches: Vec::new() };
        };
        let steps = self.steps();
        scratch.resize(ratio.len(), 0.0);
        self.forward(ratio, &steps, scratch);
        let mut state = random.random::<f64>() < scratch[last];
        let mut switches = Vec::new();
        for frame in (1..=last).rev() {
            let [fill, empty] = steps[self.intervals.index(frame)];
            let before = scratch[frame - 1];
            let (filled, not) = if state {
                (before * (1.0 - empty), (1.0 - before) * fill)
            } else {
                (before * empty, (1.0 - before) * (1.0 - fill))
            };
            let was = f64::from(random.random::<f32>()) * (filled + not) < filled;
            if was != state {
                switches.push(frame as u32);
            }
            state = was;
        }
        switches.reverse();
        DrawnPath { filled_at_first: state, switches }
    }
}

/// A path by its changes.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnPath {
    /// Whether the site is filled in the first frame.
    pub filled_at_first: bool,
    /// The frames whose state differs from that of the frame before, ascending.
    pub switches: Vec<u32>,
}

impl DrawnPath {
    /// The path of known states.
    pub fn of(states: impl IntoIterator<Item = bool>) -> DrawnPath {
        let mut states = states.into_iter().enumerate();
        let filled_at_first = states.next().is_some_and(|(_, state)| state);
        let mut before = filled_at_first;
        let mut switches = Vec::new();
        for (frame, state) in states {
            if state != before {
                switches.push(frame as u32);
            }
            before = state;
        }
        DrawnPath { filled_at_first, switches }
    }

    /// Runs of one state: first frame, frame after the last, state.
    pub fn runs(&self, frames: usize) -> impl Iterator<Item = (usize, usize, bool)> + '_ {
        let starts = std::iter::once(0).chain(self.switches.iter().map(|frame| *frame as usize));
        let ends = self.switches.iter().map(|frame| *frame as usize).chain(std::iter::once(frames));
        starts.zip(ends).enumerate().map(|(run, (start, end))| (start, end, self.filled_at_first ^ (run % 2 == 1)))
    }

    /// Number of frames in which the site is filled.
    pub fn filled_frames(&self, frames: usize) -> usize {
        self.runs(frames).filter(|run| run.2).map(|(start, end, _)| end - start).sum()
    }

    /// Losses and gains.
    pub fn changes(&self) -> [usize; 2] {
        let first = self.switches.len().div_ceil(2);
        let second = self.switches.len() / 2;
        if self.filled_at_first { [first, second] } else { [second, first] }
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;

    use super::*;

    /// Every path of a short chain with its weight.
    fn enumerated(chain: &Chain<'_>, ratio: &[f64]) -> Vec<(Vec<bool>, f64)> {
        let frames = ratio.len();
        (0..1_usize << frames)
            .map(|code| {
                let path: Vec<bool> = (0..frames).map(|frame| code >> frame & 1 == 1).collect();
                let mut weight = if path[0] { chain.initial } else { 1.0 - chain.initial };
                for frame in 0..frames {
                    if path[frame] {
                        weight *= ratio[frame];
                    }
                    if frame > 0 {
                        let [fill, empty] = chain.switching.over(chain.intervals.length(frame));
                        weight *= match (path[frame - 1], path[frame]) {
                            (false, false) => 1.0 - fill,
                            (false, true) => fill,
                            (true, false) => empty,
                            (true, true) => 1.0 - empty,
                        };
                    }
                }
                (path, weight)
            })
            .collect()
    }

    fn cases() -> Vec<(FrameIntervals, Switching, f64, Vec<f64>)> {
        let mut random = SeedPath::new(5).stream();
        let mut cases = Vec::new();
        for case in 0..12 {
            let frames = 3 + case % 8;
            let times: Vec<f64> = (0..frames)
                .scan(0.0, |time, _| {
                    *time += [0.5, 0.5, 0.5, 1.5][random.random_range(0..4)];
                    Some(*time)
                })
                .collect();
            let intervals =
                if case % 2 == 0 { FrameIntervals::even(frames) } else { FrameIntervals::at_seconds(&times).unwrap() };
            let switching = Switching { fill: random.random_range(0.01..0.4), empty: random.random_range(0.01..0.4) };
            let ratio: Vec<f64> = (0..frames)
                .map(|_| if random.random::<f64>() < 0.15 { 1.0 } else { random.random_range(-3.0_f64..3.0).exp() })
                .collect();
            cases.push((intervals, switching, random.random_range(0.1..0.9), ratio));
        }
        cases
    }

    #[test]
    fn all_paths_enumerated_give_the_same() {
        for (intervals, switching, initial, ratio) in cases() {
            let chain = Chain { intervals: &intervals, switching, initial };
            let frames = ratio.len();
            let (mut filled, mut loss, mut gain) = (vec![0.0; frames], vec![0.0; frames], vec![0.0; frames]);
            let passed = chain.smooth(&ratio, &mut filled, &mut loss, &mut gain);
            let paths = enumerated(&chain, &ratio);
            let total: f64 = paths.iter().map(|path| path.1).sum();
            assert!((passed.log_likelihood - total.ln()).abs() < 1e-10);
            let share = |holds: &dyn Fn(&[bool]) -> bool| -> f64 {
                paths.iter().filter(|path| holds(&path.0)).map(|path| path.1).sum::<f64>() / total
            };
            let mut losses = 0.0;
            for frame in 0..frames {
                assert!((f64::from(filled[frame]) - share(&|path| path[frame])).abs() < 1e-6);
                if frame > 0 {
                    let lost = share(&|path| path[frame - 1] && !path[frame]);
                    losses += lost;
                    assert!((f64::from(loss[frame]) - lost).abs() < 1e-6);
                    assert!((f64::from(gain[frame]) - share(&|path| !path[frame - 1] && path[frame])).abs() < 1e-6);
                }
            }
            assert!((passed.losses - losses).abs() < 1e-10);
            let mut best = vec![false; frames];
            chain.likeliest(&ratio, &mut best);
            let weight = |path: &[bool]| paths.iter().find(|other| other.0 == path).unwrap().1;
            let largest = paths.iter().map(|path| path.1).fold(0.0, f64::max);
            assert!((weight(&best) / largest - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn drawn_paths_follow_their_distribution() {
        let (intervals, switching, initial, ratio) = cases().remove(3);
        let chain = Chain { intervals: &intervals, switching, initial };
        let paths = enumerated(&chain, &ratio);
        let total: f64 = paths.iter().map(|path| path.1).sum();
        let mut random = SeedPath::new(6).stream();
        let mut counts = vec![0.0; paths.len()];
        let mut scratch = Vec::new();
        let draws = 40_000;
        for _ in 0..draws {
            let drawn = chain.draw(&ratio, &mut random, &mut scratch);
            let code: usize = drawn
                .runs(ratio.len())
                .filter(|run| run.2)
                .flat_map(|(start, end, _)| start..end)
                .map(|frame| 1 << frame)
                .sum();
            counts[code] += 1.0;
        }
        for (count, (path, weight)) in counts.iter().zip(&paths) {
            let expected = weight / total * f64::from(draws);
            assert!((count - expected).abs() < 5.0 * (expected + 1.0).sqrt(), "{path:?}: {count} for {expected}");
        }
    }

    #[test]
    fn two_short_steps_are_a_long_one() {
        let switching = Switching { fill: 0.07, empty: 0.21 };
        let [fill, empty] = switching.over(1.0);
        let [fill_2, empty_2] = switching.over(2.0);
        assert!((fill_2 - (fill * (1.0 - empty) + (1.0 - fill) * fill)).abs() < 1e-12);
        assert!((empty_2 - (empty * (1.0 - fill) + (1.0 - empty) * empty)).abs() < 1e-12);
        // Of a process in continuous time the short-time probabilities are rate times time.
        let [fill_rate, _] = switching.rates();
        assert!((switching.over(1e-4)[0] / 1e-4 - fill_rate).abs() < 1e-4);
    }

    #[test]
    fn a_path_by_its_changes() {
        let states = [true, true, false, true, false, false];
        let path = DrawnPath::of(states);
        assert_eq!(path.switches, [2, 3, 4]);
        assert_eq!((path.changes(), path.filled_frames(6)), ([2, 1], 3));
        assert!(FrameIntervals::at_seconds(&[0.0, 1.0, 1.0]).is_none());
        let uneven = FrameIntervals::at_seconds(&[0.0, 0.5, 1.0, 2.5, 3.0]).unwrap();
        assert_eq!((uneven.length(3), uneven.length(4), uneven.frame_time_s()), (3.0, 1.0, Some(0.5)));
    }
}
