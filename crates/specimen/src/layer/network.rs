//! Bonded networks in the plane, as those of graphene: three bonds an atom, defects, and relaxation.
//!
//! The relaxation is that of a spring model: bonds of length `b` with stiffness 1, and springs of stiffness
//! [`ANGLE_STIFFNESS`] between atoms that share a neighbour, at the distance `2 b sin 60°` of a hexagon. The ratio is that
//! of bond bending to bond stretching in Keating-like models of sp2 carbon (0.1 to 0.2). It is no substitute
//! for an energy calculation, but keeps bonds within a few per cent of `b` wherever the topology allows it.

use std::f64::consts::FRAC_PI_2;

use atomlens_core::glam::DVec2;
use rand::{Rng, RngExt};

use super::plane::PlaneGrid;

const ANGLE_STIFFNESS: f64 = 0.15;

/// Atoms in the plane and the bonds between them.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) places: Vec<DVec2>,
    /// Bonded neighbours of each atom.
    pub(crate) bonds: Vec<Vec<u32>>,
}

impl Network {
    /// Bonds all atoms that are no farther than `reach` from each other.
    pub(crate) fn within(places: Vec<DVec2>, reach: f64) -> Network {
        let grid = PlaneGrid::from_places(&places, reach);
        let bonds = places
            .iter()
            .enumerate()
            .map(|(index, &place)| {
                let mut near: Vec<u32> =
                    grid.near(place, reach).filter(|&other| other != index).map(|other| other as u32).collect();
                near.sort_unstable();
                near
            })
            .collect();
        Network { places, bonds }
    }

    /// Keeps the atoms that `keep` says, with the bonds among them; returns their former indices.
    pub(crate) fn retain(&mut self, keep: &[bool]) -> Vec<usize> {
        let mut renumbered = vec![u32::MAX; keep.len()];
        let kept: Vec<usize> = (0..keep.len()).filter(|&index| keep[index]).collect();
        for (new, &old) in kept.iter().enumerate() {
            renumbered[old] = new as u32;
        }
        self.places = kept.iter().map(|&old| self.places[old]).collect();
        self.bonds = kept
            .iter()
            .map(|&old| {
                let bonds = self.bonds[old].iter().map(|&other| renumbered[other as usize]);
                bonds.filter(|&other| other != u32::MAX).collect()
            })
            .collect();
        kept
    }

    /// Marks what stays when atoms with fewer than two bonds are taken away, again and again.
    pub(crate) fn without_dangling(&self, mut keep: Vec<bool>) -> Vec<bool> {
        let count = |keep: &[bool], index: usize| self.bonds[index].iter().filter(|&&o| keep[o as usize]).count();
        let mut queue: Vec<usize> = (0..keep.len()).filter(|&i| keep[i] && count(&keep, i) < 2).collect();
        while let Some(index) = queue.pop() {
            if !keep[index] || count(&keep, index) >= 2 {
                continue;
            }
            keep[index] = false;
            queue.extend(self.bonds[index].iter().map(|&o| o as usize).filter(|&o| keep[o]));
        }
        keep
    }

    /// Turns bonds by 90 degrees (Stone and Wales, doi:10.1016/0009-2614(86)80661-3), each with a given probability: four hexagons
    /// become two pentagons and two heptagons. Returns the atoms of the turned bonds.
    pub(crate) fn turn_bonds(&mut self, fraction: f64, random: &mut impl Rng) -> Vec<usize> {
        let mut used = vec![false; self.places.len()];
        let mut turned = Vec::new();
        for a in 0..self.places.len() {
            for b in self.bonds[a].clone().into_iter().map(|b| b as usize).filter(|&b| b > a) {
                if random.random::<f64>() >= fraction {
                    continue;
                }
                let around = |of: usize, not: usize| -> Vec<usize> {
                    self.bonds[of].iter().map(|&o| o as usize).filter(|&o| o != not).collect()
                };
                let (near_a, near_b) = (around(a, b), around(b, a));
                let mut touched = [a, b].into_iter().chain(near_a.iter().copied()).chain(near_b.iter().copied());
                if near_a.len() != 2 || near_b.len() != 2 || touched.any(|index| used[index]) {
                    continue;
                }
                let (from, to) = (self.places[a], self.places[b]);
                let side = |index: usize| (to - from).perp_dot(self.places[index] - from) > 0.0;
                let (Some(&left_of_a), Some(&left_of_b)) =
                    (near_a.iter().find(|&&i| side(i)), near_b.iter().find(|&&i| side(i)))
                else {
                    continue;
                };
                let (Some(&right_of_a), Some(_)) =
                    (near_a.iter().find(|&&i| !side(i)), near_b.iter().find(|&&i| !side(i)))
                else {
                    continue;
                };
                // Turned counter-clockwise, b comes to lie on the left and a on the right: a gives its left neighbour
                // to b and takes b's right one.
                let right_of_b = near_b.iter().copied().find(|&i| i != left_of_b).unwrap_or(left_of_b);
                for index in [a, b, left_of_a, right_of_a, left_of_b, right_of_b] {
                    used[index] = true;
                }
                self.rebond(left_of_a, a, b);
                self.rebond(right_of_b, b, a);
                let middle = (from + to) / 2.0;
                let turn = DVec2::from_angle(FRAC_PI_2);
                self.places[a] = middle + turn.rotate(from - middle);
                self.places[b] = middle + turn.rotate(to - middle);
                turned.extend([a, b]);
            }
        }
        turned
    }

    /// Moves the bond of `atom` from one partner to another.
    fn rebond(&mut self, atom: usize, from: usize, to: usize) {
        for partner in &mut self.bonds[atom] {
            if *partner == from as u32 {
                *partner = to as u32;
            }
        }
        self.bonds[from].retain(|&partner| partner != atom as u32);
        self.bonds[to].push(atom as u32);
    }

    /// The atoms that can be reached from `seeds` over at most `steps` bonds.
    pub(crate) fn reachable(&self, seeds: &[usize], steps: usize) -> Vec<bool> {
        let mut reached = vec![false; self.places.len()];
        for &seed in seeds {
            reached[seed] = true;
        }
        let mut front: Vec<usize> = seeds.to_vec();
        for _ in 0..steps {
            let mut next = Vec::new();
            for &index in &front {
                for other in self.bonds[index].iter().map(|&o| o as usize) {
                    if !reached[other] {
                        reached[other] = true;
                        next.push(other);
                    }
                }
            }
            front = next;
        }
        reached
    }

    /// Relaxes the atoms marked `mobile` to bonds of length `bond`, by steepest descent with momentum.
    pub(crate) fn relax(&mut self, bond: f64, mobile: &[bool], steps: usize) {
        let mut springs: Vec<(u32, u32, f64, f64)> = Vec::new();
        for (index, bonds) in self.bonds.iter().enumerate() {
            for (nth, &first) in bonds.iter().enumerate() {
                if (first as usize) > index && (mobile[index] || mobile[first as usize]) {
                    springs.push((index as u32, first, bond, 1.0));
                }
                for &second in &bonds[nth + 1..] {
                    if mobile[first as usize] || mobile[second as usize] {
                        springs.push((first, second, 3.0_f64.sqrt() * bond, ANGLE_STIFFNESS));
                    }
                }
            }
        }
        // The stiffest motion, an atom against its three bonds, has an eigenvalue of about 4: stable below 2 (1 + 0.9) / 4.
        let (rate, momentum) = (0.15, 0.9);
        let mut velocities = vec![DVec2::ZERO; self.places.len()];
        let mut forces = vec![DVec2::ZERO; self.places.len()];
        for _ in 0..steps {
            forces.fill(DVec2::ZERO);
            for &(first, second, length, stiffness) in &springs {
                let between = self.places[second as usize] - self.places[first as usize];
                let distance = between.length().max(1e-6);
                let force = between * (stiffness * (distance - length) / distance);
                forces[first as usize] += force;
                forces[second as usize] -= force;
            }
            for index in (0..self.places.len()).filter(|&index| mobile[index]) {
                velocities[index] = momentum * velocities[index] + rate * forces[index];
                // A tangle of the first steps must not fling atoms about.
                velocities[index] = velocities[index].clamp_length_max(0.2);
                self.places[index] += velocities[index];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;

    use super::*;
    use crate::layer::stack::Honeycomb;

    fn graphene(radius: f64) -> Network {
        let lattice = Honeycomb { a_angstrom: 2.46, origin: DVec2::ZERO, twist_rad: 0.0, swapped: false };
        Network::within(lattice.sites(radius).into_iter().map(|(place, _)| place).collect(), 1.6)
    }

    #[test]
    fn a_turned_bond_leaves_three_bonds_and_relaxes() {
        let mut network = graphene(20.0);
        let before = network.clone();
        // Drawn so rarely that it is one or a few.
        let turned = (0..).map(SeedPath::new).find_map(|seed| {
            network = before.clone();
            let turned = network.turn_bonds(0.002, &mut seed.stream());
            (turned.len() == 2 && network.places[turned[0]].length() < 10.0).then_some(turned)
        });
        let turned = turned.unwrap();
        for (index, bonds) in network.bonds.iter().enumerate() {
            assert_eq!(bonds.len(), before.bonds[index].len());
            assert!(bonds.iter().all(|&other| network.bonds[other as usize].contains(&(index as u32))));
        }
        assert_eq!((0..network.bonds.len()).filter(|&i| network.bonds[i] != before.bonds[i]).count(), 4);
        let mobile = network.reachable(&turned, 8);
        network.relax(1.42, &mobile, 300);
        for (index, bonds) in network.bonds.iter().enumerate() {
            for &other in bonds {
                let length = network.places[index].distance(network.places[other as usize]);
                assert!((1.28..1.50).contains(&length), "{length}");
            }
        }
        // The turned bond itself is the shortest, as it is in carbon (1.32 to 1.34 in density functional theory).
        let length = network.places[turned[0]].distance(network.places[turned[1]]);
        assert!(length < 1.41, "{length}");
    }

    #[test]
    fn dangling_atoms_go_and_rings_stay() {
        let network = graphene(6.0);
        let keep = network.without_dangling(vec![true; network.places.len()]);
        let mut pruned = network.clone();
        pruned.retain(&keep);
        assert!(pruned.places.len() < network.places.len());
        assert!(pruned.bonds.iter().all(|bonds| (2..=3).contains(&bonds.len())));
    }
}
