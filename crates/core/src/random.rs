//! Seeded randomness that does not depend on the number of threads.
//!
//! Every random decision draws from a stream of its own, and a stream is named by a path from the
//! user's seed: `seed / "specimen" / 17`. Two workers that make specimens 17 and 18 share no state,
//! so the results are the same in whatever order, on however many threads, they are made.
//!
//! ```
//! use atomlens_core::SeedPath;
//! use rand::RngExt;
//! let path = SeedPath::new(42).child("specimen").index(17);
//! let first: f64 = path.stream().random();
//! let again: f64 = path.stream().random();
//! assert_eq!(first, again);
//! ```

use rand::SeedableRng;

/// A source of random numbers: ChaCha with 8 rounds, whose output is specified and portable.
pub type RandomStream = rand_chacha::ChaCha8Rng;

/// The name of a random stream, derived from the user's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedPath([u64; 4]);

impl SeedPath {
    /// The root of all streams of a run.
    pub fn new(seed: u64) -> SeedPath {
        SeedPath([0x6174_6f6d_6c65_6e73, 0, 0, 0]).mixed(seed)
    }

    /// The part of the run called `name`.
    pub fn child(self, name: &str) -> SeedPath {
        let mut path = self.mixed(name.len() as u64);
        for chunk in name.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            path = path.mixed(u64::from_le_bytes(word));
        }
        path
    }

    /// The item numbered `index` of this part.
    pub fn index(self, index: u64) -> SeedPath {
        // Apart from every name: those begin with their length.
        self.mixed(u64::MAX).mixed(index)
    }

    /// The stream of this name, from its beginning.
    pub fn stream(self) -> RandomStream {
        let mut seed = [0; 32];
        for (bytes, word) in seed.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        RandomStream::from_seed(seed)
    }

    /// Absorbs one word: SplitMix64's finaliser (doi:10.1145/2714064.2660195) on each lane, chained.
    fn mixed(self, word: u64) -> SeedPath {
        let mut carry = word;
        SeedPath(self.0.map(|lane| {
            let mut z = lane.wrapping_add(carry).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            carry = carry.rotate_left(23) ^ z;
            z
        }))
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn paths_give_different_streams() {
        let root = SeedPath::new(1);
        let paths = [
            root,
            SeedPath::new(2),
            root.child("a"),
            root.child("b"),
            root.index(0),
            root.index(1),
            root.child("a").index(1),
            root.index(1).child("a"),
        ];
        let mut first: Vec<u64> = paths.iter().map(|path| path.stream().random()).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), paths.len());
    }
}
