//! What happens at a particle's surface: growth, roughening, relaxation.
//!
//! Growth adds atoms one at a time to empty sites of coordination `c` with a probability in proportion to
//! `exp(c / T)`; a falling `T` first scatters atoms and then fills steps and kinks (Madsen et al. 2018,
//! doi:10.1002/adts.201800037). Roughening takes atoms away in proportion to `exp(-c / T)`.
//!
//! Relaxation gives each bond the rest length it has in the shape, shortened where atoms lack neighbours (the shorter a
//! bond, the fewer there are: Goldschmidt's rule; Sun 2007, doi:10.1016/j.progsolidstchem.2006.03.001), by
//! `p (1 - (c_i + c_j) / 24) / (1 - 9 / 12)` percent, so that `p` is the shortening between two atoms of a {111} face
//! (coordination 9), and finds the places where springs of these lengths come to rest.

use atomlens_core::Distribution;
use atomlens_core::glam::DVec3;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::sites::Cluster;

/// Growth of a particle by single atoms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrowthSettings {
    /// Atoms added while the temperature falls, as a fraction of those in the bare shape.
    pub falling_fraction: Distribution,
    /// Atoms added after that at the final temperature, as a fraction of those in the bare shape.
    pub final_fraction: Distribution,
    /// Temperature at the beginning, in units of coordination.
    pub first_temperature: Distribution,
    /// Temperature at the end, in units of coordination.
    pub final_temperature: Distribution,
    /// Fewest neighbours of a site that may be filled.
    pub least_coordination: u8,
}

impl Default for GrowthSettings {
    fn default() -> Self {
        GrowthSettings {
            falling_fraction: 0.25.into(),
            final_fraction: 0.25.into(),
            first_temperature: 10.0.into(),
            final_temperature: 2.0.into(),
            least_coordination: 3,
        }
    }
}

/// Roughening of a particle by removing single atoms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RougheningSettings {
    /// Atoms removed, as a fraction of the atoms that have fewer than twelve neighbours.
    pub removed_fraction: Distribution,
    /// Temperature, in units of coordination; the lower, the more it is the loosest atoms that go.
    pub temperature: Distribution,
    /// Atoms left with fewer neighbours than this are removed too.
    pub least_coordination: u8,
}

impl Default for RougheningSettings {
    fn default() -> Self {
        RougheningSettings {
            removed_fraction: Distribution::Uniform(0.0, 0.05),
            temperature: 2.0.into(),
            least_coordination: 3,
        }
    }
}

/// Sites sorted by coordination, to draw one with a weight for each coordination.
struct Levels {
    of: [Vec<u32>; 13],
    /// Where a site stands in its level; its level, or none.
    slot: Vec<(u8, u32)>,
}

const NO_LEVEL: u8 = u8::MAX;

impl Levels {
    fn new(sites: usize) -> Levels {
        Levels { of: Default::default(), slot: vec![(NO_LEVEL, 0); sites] }
    }

    /// Puts a site into a level, or takes it out.
    fn put(&mut self, site: usize, level: Option<usize>) {
        let (old, place) = self.slot[site];
        if old != NO_LEVEL {
            let list = &mut self.of[usize::from(old)];
            list.swap_remove(place as usize);
            if let Some(&moved) = list.get(place as usize) {
                self.slot[moved as usize].1 = place;
            }
        }
        self.slot[site] = match level {
            // Strained shapes have at most twelve neighbours, as the lattice; see `Sites`.
            Some(level) => {
                let level = level.min(12);
                self.of[level].push(site as u32);
                (level as u8, self.of[level].len() as u32 - 1)
            }
            None => (NO_LEVEL, 0),
        };
    }

    fn draw(&self, weight: impl Fn(usize) -> f64, random: &mut impl Rng) -> Option<usize> {
        let weights: [f64; 13] = std::array::from_fn(|level| weight(level) * self.of[level].len() as f64);
        let mut left = random.random::<f64>() * weights.iter().sum::<f64>();
        let mut chosen = None;
        for (level, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            chosen = Some(level);
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        let list = &self.of[chosen?];
        Some(list[random.random_range(0..list.len())] as usize)
    }
}

/// Adds atoms; see [`GrowthSettings`].
pub(crate) fn grow(cluster: &mut Cluster, settings: &GrowthSettings, random: &mut impl Rng) {
    let bare = cluster.atom_count() as f64;
    let mut share = |fraction: &Distribution| (fraction.sample(random).max(0.0) * bare).round() as usize;
    let (falling, steady) = (share(&settings.falling_fraction), share(&settings.final_fraction));
    // A temperature of zero would make every weight infinite; 0.05 already takes the best site always.
    let mut temperature = |knob: &Distribution| knob.sample(random).max(0.05);
    let (first, last) = (temperature(&settings.first_temperature), temperature(&settings.final_temperature));

    let least = usize::from(settings.least_coordination.max(1));
    let level = |cluster: &Cluster, site: usize| {
        let coordination = cluster.coordination(site);
        (!cluster.is_filled(site) && coordination >= least).then_some(coordination)
    };
    let mut levels = Levels::new(cluster.sites.len());
    for site in 0..cluster.sites.len() {
        levels.put(site, level(cluster, site));
    }
    for step in 0..falling + steady {
        let progress = if falling == 0 { 1.0 } else { (step as f64 / falling as f64).min(1.0) };
        let temperature = first + (last - first) * progress;
        // Weights relative to the highest coordination do not overflow.
        let weight = |coordination: usize| ((coordination as f64 - 12.0) / temperature).exp();
        let Some(site) = levels.draw(weight, random) else { break };
        fill(cluster, &mut levels, site, true, level);
    }
}

/// Removes atoms; see [`RougheningSettings`].
pub(crate) fn roughen(cluster: &mut Cluster, settings: &RougheningSettings, random: &mut impl Rng) {
    let level = |cluster: &Cluster, site: usize| {
        let coordination = cluster.coordination(site);
        (cluster.is_filled(site) && coordination < 12).then_some(coordination)
    };
    let mut levels = Levels::new(cluster.sites.len());
    for site in 0..cluster.sites.len() {
        levels.put(site, level(cluster, site));
    }
    let surface: usize = levels.of.iter().map(Vec::len).sum();
    let count = (settings.removed_fraction.sample(random).clamp(0.0, 1.0) * surface as f64).round() as usize;
    let temperature = settings.temperature.sample(random).max(0.05);
    for _ in 0..count {
        let Some(site) = levels.draw(|coordination| (-(coordination as f64) / temperature).exp(), random) else {
            break;
        };
        fill(cluster, &mut levels, site, false, level);
    }
    let least = usize::from(settings.least_coordination);
    let mut suspects = cluster.filled_sites();
    while let Some(site) = suspects.pop() {
        if cluster.is_filled(site) && cluster.coordination(site) < least {
            cluster.set(site, false);
            suspects.extend(cluster.sites.neighbours(site).iter().map(|&other| other as usize));
        }
    }
}

fn fill(
    cluster: &mut Cluster,
    levels: &mut Levels,
    site: usize,
    filled: bool,
    level: impl Fn(&Cluster, usize) -> Option<usize>,
) {
    cluster.set(site, filled);
    levels.put(site, level(cluster, site));
    for index in 0..cluster.sites.neighbours(site).len() {
        let other = cluster.sites.neighbours(site)[index] as usize;
        levels.put(other, level(cluster, other));
    }
}

/// A spring between two atoms, by their numbers among the filled sites.
struct Bond {
    atoms: [usize; 2],
    direction: DVec3,
    shortening_angstrom: f64,
}

/// Displacements of the filled sites, in their order, in angstrom; see the module's head for the law.
///
/// With small displacements `u` the springs' energy is `|B u + s|^2 / 2`, where `B u` are the bonds' elongations and `s`
/// the shortenings asked for; its minimum, `B^T B u = -B^T s`, is found by conjugate gradients from rest, which leave
/// the particle's place and orientation alone.
pub(crate) fn relaxation_angstrom(cluster: &Cluster, percent_on_111: f64) -> Vec<DVec3> {
    let filled = cluster.filled_sites();
    let mut number = vec![0; cluster.sites.len()];
    for (index, &site) in filled.iter().enumerate() {
        number[site] = index;
    }
    let lacking = |site: usize| 1.0 - cluster.coordination(site) as f64 / 12.0;
    let mut bonds = Vec::with_capacity(6 * filled.len());
    for &site in &filled {
        for other in cluster.sites.neighbours(site).iter().map(|&other| other as usize) {
            if other > site && cluster.is_filled(other) {
                let bond = cluster.sites.places_angstrom()[other] - cluster.sites.places_angstrom()[site];
                let short = percent_on_111 / 100.0 * (lacking(site) + lacking(other)) / 2.0 / 0.25;
                bonds.push(Bond {
                    atoms: [number[site], number[other]],
                    direction: bond.normalize(),
                    shortening_angstrom: short * bond.length(),
                });
            }
        }
    }
    let pulled = |tension: &dyn Fn(&Bond) -> f64| {
        let mut force = vec![DVec3::ZERO; filled.len()];
        for bond in &bonds {
            let pull = bond.direction * tension(bond);
            force[bond.atoms[0]] -= pull;
            force[bond.atoms[1]] += pull;
        }
        force
    };
    let stiffness = |u: &[DVec3]| pulled(&|bond| bond.direction.dot(u[bond.atoms[1]] - u[bond.atoms[0]]));
    let dot = |a: &[DVec3], b: &[DVec3]| a.iter().zip(b).map(|(a, b)| a.dot(*b)).sum::<f64>();

    let mut shifts = vec![DVec3::ZERO; filled.len()];
    let mut residual = pulled(&|bond| -bond.shortening_angstrom);
    let mut direction = residual.clone();
    let mut norm = dot(&residual, &residual);
    // 1e-4 of the first residual is far below a picometre.
    let enough = 1e-8 * norm;
    const MOST_STEPS: usize = 1000;
    for _ in 0..MOST_STEPS {
        if norm <= enough {
            break;
        }
        let stiff = stiffness(&direction);
        let step = norm / dot(&direction, &stiff);
        for index in 0..filled.len() {
            shifts[index] += direction[index] * step;
            residual[index] -= stiff[index] * step;
        }
        let next = dot(&residual, &residual);
        for (direction, residual) in direction.iter_mut().zip(&residual) {
            *direction = *residual + *direction * (next / norm);
        }
        norm = next;
    }
    shifts
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use atomlens_core::glam::DVec3;

    use super::*;
    use crate::particle::icosahedron;
    use crate::particle::sites::{BOND_REACH, Sites};

    /// A cuboctahedron of fcc sites with a margin, nearest neighbours at distance 1.
    fn cuboctahedron(shells: i32, margin: i32) -> Cluster {
        let all = shells + margin;
        let mut places = Vec::new();
        let mut filled = Vec::new();
        for i in -all..=all {
            for j in -all..=all {
                for k in -all..=all {
                    if (i + j + k) % 2 == 0 {
                        places.push(DVec3::new(i.into(), j.into(), k.into()) / 2.0_f64.sqrt());
                        let largest = i.abs().max(j.abs()).max(k.abs());
                        filled.push(largest <= shells && i.abs() + j.abs() + k.abs() <= 2 * shells);
                    }
                }
            }
        }
        Cluster::new(Sites::new(places, BOND_REACH), filled)
    }

    #[test]
    fn growth_adds_the_atoms_asked_for_and_prefers_high_coordination() {
        let settings = GrowthSettings::default();
        let mean = |cluster: &Cluster| {
            let filled = cluster.filled_sites();
            filled.iter().map(|&site| cluster.coordination(site) as f64).sum::<f64>() / filled.len() as f64
        };
        let mut cold = cuboctahedron(4, 4);
        let bare = cold.atom_count();
        assert_eq!(bare, 309);
        let mut hot = cold.clone();
        let cold_settings =
            GrowthSettings { first_temperature: 0.5.into(), final_temperature: 0.5.into(), ..settings.clone() };
        let hot_settings =
            GrowthSettings { final_temperature: 50.0.into(), first_temperature: 50.0.into(), ..settings };
        grow(&mut cold, &cold_settings, &mut SeedPath::new(5).stream());
        grow(&mut hot, &hot_settings, &mut SeedPath::new(5).stream());
        assert_eq!(cold.atom_count(), bare + 2 * 77);
        assert_eq!(hot.atom_count(), cold.atom_count());
        assert!(mean(&cold) > mean(&hot) + 0.3, "{} {}", mean(&cold), mean(&hot));
        for site in cold.filled_sites() {
            assert!(cold.coordination(site) >= 3);
        }
    }

    #[test]
    fn roughening_takes_loose_atoms_first() {
        let mut cluster = cuboctahedron(4, 1);
        let settings = RougheningSettings {
            removed_fraction: (12.0 / 162.0).into(),
            temperature: 0.1.into(),
            least_coordination: 0,
        };
        roughen(&mut cluster, &settings, &mut SeedPath::new(2).stream());
        // The surface of 162 atoms has twelve corners, of coordination 5; they go first.
        assert_eq!(cluster.atom_count(), 309 - 12);
        assert!(cluster.filled_sites().iter().all(|&site| cluster.coordination(site) > 5));
    }

    #[test]
    fn atoms_without_support_are_pruned() {
        let mut cluster = cuboctahedron(2, 2);
        // A dimer on a face: each of its atoms has neighbours, but too few.
        let corner = (0..cluster.sites.len()).find(|&site| cluster.coordination(site) == 1 && !cluster.is_filled(site));
        cluster.set(corner.unwrap(), true);
        let settings = RougheningSettings { removed_fraction: 0.0.into(), ..Default::default() };
        roughen(&mut cluster, &settings, &mut SeedPath::new(2).stream());
        assert_eq!(cluster.atom_count(), 55);
    }

    #[test]
    fn surface_bonds_shorten_by_what_is_asked_and_the_core_stays() {
        let (places, filled) = icosahedron::sites(&[5; 20], 1.0, 1);
        let strained = Cluster::new(Sites::new(places, BOND_REACH), filled);
        // With no shortening, a shape that is strained by its twins stays as it is.
        assert!(relaxation_angstrom(&strained, 0.0).iter().all(|shift| shift.length() < 1e-12));

        let cluster = cuboctahedron(6, 1);
        let shifts = relaxation_angstrom(&cluster, 2.0);
        let filled = cluster.filled_sites();
        let place = |index: usize| cluster.sites.places_angstrom()[filled[index]] + shifts[index];
        let (mut inner, mut outer) = (Vec::new(), Vec::new());
        for (a, &site) in filled.iter().enumerate() {
            for &other in cluster.sites.neighbours(site) {
                let Ok(b) = filled.binary_search(&(other as usize)) else { continue };
                let length = place(a).distance(place(b));
                let depth = |index: usize| cluster.sites.places_angstrom()[filled[index]].length();
                let coordinations = [cluster.coordination(site), cluster.coordination(other as usize)];
                if depth(a) < 2.1 && depth(b) < 2.1 {
                    inner.push(length);
                } else if coordinations.iter().all(|c| *c < 12) {
                    outer.push(length);
                }
            }
        }
        let mean = |bonds: &[f64]| bonds.iter().sum::<f64>() / bonds.len() as f64;
        // The bulk resists the surface's shortening within the face; part of it remains.
        assert!((0.97..0.995).contains(&mean(&outer)), "{}", mean(&outer));
        assert!((0.99..1.001).contains(&mean(&inner)), "{}", mean(&inner));
        assert!(mean(&inner) > mean(&outer) + 0.005);
    }
}
