//! Grains of graphene: a network of rings that goes on across their boundaries.
//!
//! Sites are placed where the rings are, not the atoms: a triangular lattice in each grain, of its own orientation,
//! the grains being the Voronoi cells of random points; disordered grains have random sites that keep their distance. Sites
//! too close to another across a boundary are taken away and gaps are filled, and the sites near boundaries and in disordered
//! grains are moved to the middle of their neighbours (Lloyd's iteration, doi:10.1109/TIT.1982.1056489). Every triangle of their Delaunay
//! triangulation then is an atom, and every edge between two triangles a bond: all atoms have three, and a site with `n`
//! neighbours is a ring of `n`. Boundaries come out as chains of pentagons and heptagons, as they are in
//! graphene grown from vapour (Huang et al. 2011, doi:10.1038/nature09718).

use std::f64::consts::{FRAC_PI_3, PI, TAU};

use atomlens_core::glam::DVec2;
use delaunator::{EMPTY, Point, triangulate};
use rand::{Rng, RngExt};

use super::network::Network;
use super::plane::PlaneGrid;

const LLOYD_STEPS: usize = 12;

struct Grain {
    middle: DVec2,
    turn_rad: f64,
    offset: DVec2,
    disordered: bool,
}

/// A network of grains in a disc of the given radius, and the atoms that are not in perfect crystal.
///
/// `a_angstrom` is the lattice constant (the distance between rings), `grain_area` the mean area of a grain in square
/// angstrom, `disordered_fraction` the chance that a grain is disordered.
pub(crate) fn grow(
    a_angstrom: f64,
    radius: f64,
    grain_area: f64,
    disordered_fraction: f64,
    random: &mut impl Rng,
) -> (Network, Vec<usize>) {
    // Beyond the radius, the rim of the triangulation, which is cut off at the end.
    let rim = radius + 4.0 * a_angstrom;
    let grains = sample_grains(a_angstrom, rim, grain_area, disordered_fraction, random);
    let (mut sites, mut mobile) = sample_sites(&grains, a_angstrom, rim, random);
    for step in 0..LLOYD_STEPS {
        let neighbours = ring_neighbours(&sites);
        let relaxed: Vec<DVec2> = (0..sites.len())
            .map(|index| {
                let around = &neighbours[index];
                let movable = mobile[index] && sites[index].length() < rim - a_angstrom && !around.is_empty();
                let middle = || around.iter().map(|&other| sites[other as usize]).sum::<DVec2>() / around.len() as f64;
                if movable { middle() } else { sites[index] }
            })
            .collect();
        sites = relaxed;
        if step == LLOYD_STEPS / 2 {
            repair_rings(&mut sites, &mut mobile, &neighbours, a_angstrom, rim, random);
        } else if step % 3 == 1 {
            balance(&mut sites, &mut mobile, a_angstrom, rim);
        }
    }
    atoms_of(&sites, &mobile, radius)
}

fn sample_grains(
    a_angstrom: f64,
    rim: f64,
    grain_area: f64,
    disordered_fraction: f64,
    random: &mut impl Rng,
) -> Vec<Grain> {
    let count = (PI * rim * rim / grain_area).round().max(1.0) as usize;
    (0..count)
        .map(|_| Grain {
            middle: in_disc(rim, random),
            turn_rad: FRAC_PI_3 * random.random::<f64>(),
            offset: a_angstrom * DVec2::new(random.random(), random.random()),
            disordered: random.random::<f64>() < disordered_fraction,
        })
        .collect()
}

fn in_disc(radius: f64, random: &mut impl Rng) -> DVec2 {
    radius * random.random::<f64>().sqrt() * DVec2::from_angle(TAU * random.random::<f64>())
}

/// The middles of the rings, and which of them may move.
fn sample_sites(grains: &[Grain], a: f64, rim: f64, random: &mut impl Rng) -> (Vec<DVec2>, Vec<bool>) {
    let owner = |place: DVec2| {
        let mut best = (f64::INFINITY, f64::INFINITY, 0);
        for (index, grain) in grains.iter().enumerate() {
            let distance = grain.middle.distance(place);
            if distance < best.0 {
                best = (distance, best.0, index);
            } else if distance < best.1 {
                best.1 = distance;
            }
        }
        // Twice the distance from the boundary, to first order.
        (best.2, best.1 - best.0)
    };
    let mut grid = PlaneGrid::new(DVec2::splat(-rim), DVec2::splat(rim), a);
    let mut mobile = Vec::new();
    let height = 0.75_f64.sqrt() * a;
    for (index, grain) in grains.iter().enumerate().filter(|(_, grain)| !grain.disordered) {
        let turn = DVec2::from_angle(grain.turn_rad);
        let reach = (2.0 * rim / height).ceil() as i64 + 1;
        for v in -reach..=reach {
            for u in -reach..=reach {
                let x = u as f64 + 0.5 * (v.rem_euclid(2)) as f64;
                let place = turn.rotate(DVec2::new(a * x, height * v as f64) + grain.offset);
                if place.length() > rim {
                    continue;
                }
                let (nearest, from_boundary) = owner(place);
                if nearest == index && grid.near(place, 0.72 * a).next().is_none() {
                    grid.insert(place);
                    mobile.push(from_boundary < 2.4 * a);
                }
            }
        }
    }
    // Gaps, of which a disordered grain is the largest. A random packing of this distance has nearly the number of sites of the crystal
    // once it is evened out.
    let darts = (12.0 * PI * rim * rim / (a * height)) as usize;
    for _ in 0..darts {
        let place = in_disc(rim, random);
        let gap = if grains[owner(place).0].disordered { 0.84 } else { 0.80 };
        if grid.near(place, gap * a).next().is_none() {
            grid.insert(place);
            mobile.push(true);
        }
    }
    (grid.places().to_vec(), mobile)
}

/// Takes sites of three or four neighbours away and splits those of eight or more, for rings of five to seven.
fn repair_rings(
    sites: &mut Vec<DVec2>,
    mobile: &mut Vec<bool>,
    neighbours: &[Vec<u32>],
    a: f64,
    rim: f64,
    random: &mut impl Rng,
) {
    let mut removed = vec![false; sites.len()];
    let mut added = Vec::new();
    for index in 0..neighbours.len() {
        let inside = mobile[index] && sites[index].length() < rim - 2.0 * a;
        let untouched = neighbours[index].iter().all(|&other| !removed[other as usize]);
        if inside && untouched && neighbours[index].len() <= 4 {
            removed[index] = true;
        } else if inside && neighbours[index].len() >= 8 {
            let half = 0.3 * a * DVec2::from_angle(TAU * random.random::<f64>());
            sites[index] -= half;
            added.push(sites[index] + 2.0 * half);
        }
    }
    drop_marked(sites, &removed);
    drop_marked(mobile, &removed);
    mobile.extend(added.iter().map(|_| true));
    sites.extend(added);
}

/// Adds sites in the largest triangles, or takes the most crowded ones away, until those that may move have the room that
/// a site of the crystal has. Without this the boundaries would be in tension, since what overlaps is taken away.
fn balance(sites: &mut Vec<DVec2>, mobile: &mut Vec<bool>, a: f64, rim: f64) {
    let area = |[first, second, third]: [DVec2; 3]| 0.5 * (second - first).perp_dot(third - first).abs();
    let triangulation = delaunay(sites);
    let mut triangles: Vec<(f64, usize)> = Vec::new();
    for (index, corners) in triangulation.triangles.chunks_exact(3).enumerate() {
        let inside = corners.iter().all(|&corner| sites[corner].length() < rim - a);
        if inside && corners.iter().any(|&corner| mobile[corner]) {
            triangles.push((area([sites[corners[0]], sites[corners[1]], sites[corners[2]]]), index));
        }
    }
    triangles.sort_by(|first, second| second.0.total_cmp(&first.0));
    let total: f64 = triangles.iter().map(|(area, _)| area).sum();
    // Each site more makes two triangles more.
    let missing = (total / (0.75_f64.sqrt() * a * a) - triangles.len() as f64 / 2.0).round();
    let corners = |index: usize| &triangulation.triangles[3 * index..3 * index + 3];
    let mut touched = vec![false; sites.len()];
    let mut removed = vec![false; sites.len()];
    let mut left = missing.abs() as usize;
    let order: Vec<usize> = if missing > 0.0 {
        triangles.iter().map(|&(_, index)| index).collect()
    } else {
        triangles.iter().rev().map(|&(_, index)| index).collect()
    };
    let mut added = Vec::new();
    for index in order {
        let corners = corners(index);
        if left == 0 {
            break;
        }
        if corners.iter().any(|&corner| touched[corner]) {
            continue;
        }
        if missing > 0.0 {
            added.push(corners.iter().map(|&corner| sites[corner]).sum::<DVec2>() / 3.0);
        } else if let Some(&corner) = corners.iter().find(|&&corner| mobile[corner]) {
            removed[corner] = true;
        }
        for &corner in corners {
            touched[corner] = true;
            mobile[corner] = true;
        }
        left -= 1;
    }
    drop_marked(sites, &removed);
    drop_marked(mobile, &removed);
    mobile.extend(added.iter().map(|_| true));
    sites.extend(added);
}

fn drop_marked<T>(items: &mut Vec<T>, marked: &[bool]) {
    let mut marks = marked.iter();
    items.retain(|_| !marks.next().copied().unwrap_or(false));
}

fn delaunay(sites: &[DVec2]) -> delaunator::Triangulation {
    let points: Vec<Point> = sites.iter().map(|site| Point { x: site.x, y: site.y }).collect();
    triangulate(&points)
}

/// The sites that share an edge of the triangulation with each site.
fn ring_neighbours(sites: &[DVec2]) -> Vec<Vec<u32>> {
    let triangulation = delaunay(sites);
    let mut neighbours = vec![Vec::new(); sites.len()];
    for corners in triangulation.triangles.chunks_exact(3) {
        for [from, to] in [[0, 1], [1, 2], [2, 0]] {
            // Each inner edge is seen once in either direction, so that once in one direction is enough.
            neighbours[corners[from]].push(corners[to] as u32);
        }
    }
    neighbours
}

/// The atoms, one a triangle, within the radius; and those that touch a moved site or a ring that is no hexagon.
fn atoms_of(sites: &[DVec2], mobile: &[bool], radius: f64) -> (Network, Vec<usize>) {
    let triangulation = delaunay(sites);
    let mut ring = vec![0; sites.len()];
    for &corner in &triangulation.triangles {
        ring[corner] += 1;
    }
    let mut places = Vec::new();
    let mut odd = Vec::new();
    for corners in triangulation.triangles.chunks_exact(3) {
        places.push(corners.iter().map(|&corner| sites[corner]).sum::<DVec2>() / 3.0);
        odd.push(corners.iter().any(|&corner| mobile[corner] || ring[corner] != 6));
    }
    let bonds = triangulation
        .halfedges
        .chunks_exact(3)
        .map(|edges| edges.iter().filter(|&&edge| edge != EMPTY).map(|&edge| (edge / 3) as u32).collect())
        .collect();
    let mut network = Network { places, bonds };
    let keep: Vec<bool> = network.places.iter().map(|place| place.length() < radius).collect();
    let kept = network.retain(&keep);
    let seeds = kept.iter().enumerate().filter(|&(_, &old)| odd[old]).map(|(new, _)| new).collect();
    (network, seeds)
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;

    use super::*;

    #[test]
    fn boundaries_are_three_fold_and_of_pentagons_to_heptagons() {
        let mut random = SeedPath::new(11).stream();
        let (network, seeds) = grow(2.46, 60.0, 1500.0, 0.2, &mut random);
        let inside: Vec<usize> = (0..network.places.len()).filter(|&i| network.places[i].length() < 50.0).collect();
        assert!(inside.iter().all(|&i| network.bonds[i].len() == 3));
        assert!(!seeds.is_empty() && seeds.len() < network.places.len());
        // Euler: a planar network of three bonds an atom has two atoms a ring; 38.2 atoms per square nanometre.
        let density = inside.len() as f64 / (PI * 2500.0);
        assert!((0.36..0.395).contains(&density), "{density}");
    }

    #[test]
    fn one_grain_is_a_perfect_crystal() {
        let mut random = SeedPath::new(12).stream();
        let (network, seeds) = grow(2.46, 40.0, 1e9, 0.0, &mut random);
        let inside = |i: &usize| network.places[*i].length() < 30.0;
        assert!(seeds.iter().all(|i| !inside(i)));
        for i in (0..network.places.len()).filter(inside) {
            for &other in &network.bonds[i] {
                assert!((network.places[i].distance(network.places[other as usize]) - 1.4203).abs() < 1e-3);
            }
        }
    }
}
