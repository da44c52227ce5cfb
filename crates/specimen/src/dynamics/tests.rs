use atomlens_core::{Cell, Element};

use super::*;
use crate::SpecimenSettings;

const FIELD: [f64; 2] = [60.0, 60.0];

fn specimen(recipe: &str, seed: u64) -> Specimen {
    let settings: SpecimenSettings = toml::from_str(recipe).unwrap();
    settings.build(FIELD, None, SeedPath::new(seed)).unwrap()
}

const PARTICLE: &str = "[body]
    kind = 'nanoparticle'
    element = 'Au'
    radius_angstrom = 11
    [stage]
    tilt_degree = 1";
const SUPPORTED: &str = "[body]
    kind = 'nanoparticle'
    element = 'Pt'
    radius_angstrom = 11
    [support]
    kind = 'oxide'";
const SHEET: &str = "[body]
    kind = 'layer'
    material = 'MoS2'
    edge = { count = 1, distance_fraction = 0.2 }
    [stage]
    tilt_degree = 0";

fn movie(recipe: &str, dynamics: &str, seed: u64) -> Movie {
    let settings: DynamicsSettings = toml::from_str(dynamics).unwrap();
    Movie::build(specimen(recipe, seed), &settings, SeedPath::new(seed)).unwrap()
}

fn count(movie: &Movie, kind: SiteKind) -> usize {
    movie.sites.iter().filter(|site| site.kind == kind).count()
}

/// How often each kind of switch happened, and how often it could have, over sites of one kind.
fn switches(movie: &Movie, kind: SiteKind) -> [(f64, f64); 2] {
    let mut found = [(0.0, 0.0); 2];
    for (site, _) in movie.sites.iter().enumerate().filter(|(_, site)| site.kind == kind) {
        for pair in movie.occupancy.windows(2) {
            let (before, after) = (pair[0][site], pair[1][site]);
            let entry = &mut found[usize::from(!before)];
            entry.0 += f64::from(u8::from(before != after));
            entry.1 += 1.0;
        }
    }
    found
}

#[test]
fn sites_switch_as_often_as_their_rates_say() {
    let dynamics = "frames = 3000
        frame_time_s = 0.5
        hops_per_s = 0
        rates.facet = { emptying_per_s = 0.05, filling_per_s = 0.2 }
        rates.edge = { emptying_per_s = 0.3, filling_per_s = 0.1 }
        rates.adatom = { emptying_per_s = 2.0, filling_per_s = 0.4 }";
    let movie = movie(PARTICLE, dynamics, 1);
    for (kind, emptying, filling) in
        [(SiteKind::Facet, 0.05, 0.2), (SiteKind::Edge, 0.3, 0.1), (SiteKind::Adatom, 2.0, 0.4)]
    {
        assert!(count(&movie, kind) > 3, "{kind:?}");
        // Over half a second, from the solution of the rate equations.
        let relaxed = 1.0 - f64::exp(-0.5 * (emptying + filling));
        let expected = [emptying / (emptying + filling) * relaxed, filling / (emptying + filling) * relaxed];
        for ((happened, could), expected) in switches(&movie, kind).into_iter().zip(expected) {
            let error = (expected * (1.0 - expected) / could).sqrt();
            assert!((happened / could - expected).abs() < 3.0 * error, "{kind:?}: {}, {expected}", happened / could);
        }
        // The stationary occupancy, from frame 200 on, by which the start is forgotten. Frames are correlated over
        // the time 1 / (e + f), so that only about one in 2 / relaxed counts.
        let sites: Vec<usize> = (0..movie.sites.len()).filter(|&site| movie.sites[site].kind == kind).collect();
        let frames = &movie.occupancy[200..];
        let filled = frames.iter().map(|frame| sites.iter().filter(|&&site| frame[site]).count()).sum::<usize>() as f64;
        let total = (frames.len() * sites.len()) as f64;
        let stationary = filling / (filling + emptying);
        let error = (stationary * (1.0 - stationary) / (total * relaxed / 2.0)).sqrt();
        assert!((filled / total - stationary).abs() < 3.0 * error, "{kind:?}: {}, {stationary}", filled / total);
    }
    let interior = (0..movie.sites.len()).filter(|&site| movie.sites[site].kind == SiteKind::Interior);
    assert!(interior.into_iter().all(|site| movie.occupancy.iter().all(|frame| frame[site])));
}

#[test]
fn kinds_are_those_of_a_drawn_outline() {
    // Columns of gold along [110], cut to a rectangle with (001) above and below: 4 of 6 neighbours there.
    let (a, b) = (4.078, 4.078 / 2.0_f64.sqrt());
    let mut atoms = Vec::new();
    let mut roles = Vec::new();
    for row in 0..8 {
        for place in 0..8 {
            let x = 15.0 + b * (f64::from(place) + 0.5 * f64::from(row % 2));
            for k in 0..4 {
                let z = b * (f64::from(k) + 0.5 * f64::from(row % 2)) + 2.0;
                let position = DVec3::new(x, 15.0 + 0.5 * a * f64::from(row), z);
                let column = Some(roles.len() as u32);
                atoms.push(Atom { column, ..Atom::new(Element::from_atomic_number(79).unwrap(), position) });
            }
            roles.push(ColumnRole::Specimen);
        }
    }
    let mut structure = Structure { atoms, cell: Some(Cell::orthorhombic(DVec3::new(60.0, 60.0, 16.0))) };
    let columns = Column::gather(&mut structure, &roles);
    let specimen = Specimen { structure, columns, sheet: false };
    let settings: DynamicsSettings = toml::from_str("frames = 2").unwrap();
    let movie = Movie::build(specimen, &settings, SeedPath::new(1)).unwrap();
    let kind = |row: usize, place: usize| movie.sites[8 * row + place].kind;
    for place in 1..7 {
        assert_eq!(kind(0, place), SiteKind::Facet);
        assert_eq!(kind(7, place), SiteKind::Facet);
        assert_eq!(kind(3, place), SiteKind::Interior);
    }
    // The lower left corner has one neighbour beside it and one above, the lower right one two above.
    assert_eq!((kind(0, 0), kind(0, 7)), (SiteKind::Corner, SiteKind::Edge));
    // Adatoms: in the hollows of the outermost rows, on the lattice, also along the beam.
    let adatoms: Vec<&Site> = movie.sites.iter().filter(|site| site.kind == SiteKind::Adatom).collect();
    let above = adatoms.iter().filter(|site| (site.y_angstrom - (15.0 - 0.5 * a)).abs() < 1e-6).count();
    assert_eq!(above, 7);
    for site in &adatoms {
        assert!(!site.filled_at_start);
        let (row, place) = ((site.y_angstrom - 15.0) / (0.5 * a), (site.x_angstrom - 15.0) / (0.5 * b));
        assert!((row - row.round()).abs() < 1e-6 && (place - place.round()).abs() < 1e-6);
        assert_eq!((row.round() as i64).rem_euclid(2), (place.round() as i64).rem_euclid(2));
    }
    for (atom, site) in movie.atoms.iter().zip(&movie.site_of_atom) {
        let row = ((atom.position_angstrom.y - 15.0) / (0.5 * a)).round() as i64;
        let phase = (atom.position_angstrom.z - 2.0) / b - 0.5 * row.rem_euclid(2) as f64;
        assert!((phase - phase.round()).abs() < 1e-6, "{site:?}");
    }
}

#[test]
fn a_frame_shows_what_the_truth_says() {
    let dynamics = "frames = 40
        rates.facet = { emptying_per_s = 0.2, filling_per_s = 0.2 }
        rates.adatom = { emptying_per_s = 0.3, filling_per_s = 0.1 }
        hops_per_s = 0.5
        drift = { x_angstrom_per_frame = 0.05, rotation_degree_per_frame = 0.3 }";
    for recipe in [PARTICLE, SUPPORTED, SHEET] {
        let movie = movie(recipe, dynamics, 3);
        assert_eq!((movie.frame_count(), movie.drift.len()), (40, 40));
        for index in [0, 7, 39] {
            let frame = movie.frame(index);
            let own = |role| frame.columns.iter().filter(|column| column.role == role).count();
            let atoms: u32 = frame.columns.iter().map(|column| column.atom_count()).sum();
            assert_eq!(atoms as usize, frame.structure.atoms.iter().filter(|atom| atom.column.is_some()).count());
            let filled: Vec<usize> = (0..movie.sites.len()).filter(|&site| movie.occupancy[index][site]).collect();
            if frame.sheet {
                let held: u32 = filled.iter().map(|&site| movie.sites[site].atom_count()).sum();
                assert_eq!(held, atoms);
            } else {
                assert_eq!(filled.len(), own(ColumnRole::Specimen));
                for &site in &filled {
                    let [x, y] = movie.site_place_angstrom(index, site);
                    let near =
                        frame.columns.iter().find(|column| (column.x_angstrom - x).hypot(column.y_angstrom - y) < 1e-6);
                    assert_eq!(near.unwrap().atoms, movie.sites[site].atoms);
                }
            }
            let cell = frame.structure.cell.unwrap().as_orthorhombic().unwrap();
            let inside = |place: DVec3| place.cmpge(DVec3::ZERO).all() && place.cmplt(cell).all();
            assert!(frame.structure.atoms.iter().all(|atom| inside(atom.position_angstrom)));
        }
    }
}

#[test]
fn no_two_atoms_overlap_when_all_sites_are_filled() {
    for recipe in [PARTICLE, SUPPORTED] {
        for seed in 0..3 {
            let movie = movie(recipe, "frames = 1", seed);
            assert!(count(&movie, SiteKind::Adatom) > 5);
            let first = movie.atoms.len()
                - movie
                    .site_of_atom
                    .iter()
                    .flatten()
                    .filter(|&&site| !movie.sites[site as usize].filled_at_start)
                    .count();
            for adatom in &movie.atoms[first..] {
                let place = adatom.position_angstrom;
                let near = movie.atoms.iter().map(|atom| atom.position_angstrom.distance(place)).filter(|&d| d > 0.0);
                let nearest = near.fold(f64::INFINITY, f64::min);
                assert!((1.9..3.0).contains(&nearest), "{nearest}");
            }
        }
    }
}

#[test]
fn the_interface_is_found_and_only_there() {
    let supported = movie(SUPPORTED, "frames = 1", 2);
    assert!((3..40).contains(&count(&supported, SiteKind::Interface)));
    assert_eq!(count(&movie(PARTICLE, "frames = 1", 2), SiteKind::Interface), 0);
}

#[test]
fn hops_keep_the_number_of_adatoms() {
    let dynamics = "frames = 300
        hops_per_s = 0.7
        rates.facet = { emptying_per_s = 0, filling_per_s = 0 }
        rates.edge = { emptying_per_s = 0, filling_per_s = 0 }
        rates.corner = { emptying_per_s = 0, filling_per_s = 0 }
        rates.adatom = { emptying_per_s = 0, filling_per_s = 1e-3 }";
    let movie = movie(PARTICLE, dynamics, 4);
    assert!(movie.hops.len() > 20, "{}", movie.hops.len());
    let number = |frame: usize| movie.occupancy[frame].iter().filter(|filled| **filled).count();
    // Adatoms never leave here, so that their number can only grow.
    assert!((1..300).all(|frame| number(frame) >= number(frame - 1)));
    for hop in &movie.hops {
        assert!(
            movie.occupancy[hop.frame][hop.to]
                || movie.hops.iter().any(|next| next.frame == hop.frame && next.from == hop.to)
        );
        let (from, to) = (&movie.sites[hop.from], &movie.sites[hop.to]);
        assert!((from.x_angstrom - to.x_angstrom).hypot(from.y_angstrom - to.y_angstrom) < 4.0);
        assert_eq!((from.kind, to.kind), (SiteKind::Adatom, SiteKind::Adatom));
    }
}

#[test]
fn vacancies_appear_in_a_sheet_one_atom_at_a_time() {
    let dynamics = "frames = 60
        rates.interior = { emptying_per_s = 0.002, filling_per_s = 0 }
        rates.edge = { emptying_per_s = 0, filling_per_s = 0 }
        rates.corner = { emptying_per_s = 0, filling_per_s = 0 }";
    let movie = movie(SHEET, dynamics, 5);
    assert!(movie.sites.iter().all(|site| site.atom_count() == 1));
    assert!(count(&movie, SiteKind::Edge) > 5 && count(&movie, SiteKind::Adatom) == 0);
    let species = |frame: usize| {
        let columns = movie.frame(frame).columns;
        ["S2", "S", "Mo"].map(|name| columns.iter().filter(|column| column.species(true) == name).count() as f64)
    };
    let (first, last) = (species(0), species(59));
    assert_eq!(first[1], 0.0);
    let left = (-0.002_f64 * 59.0).exp();
    assert!((last[2] / first[2] - left).abs() < 4.0 * (left * (1.0 - left) / first[2]).sqrt());
    let single = 2.0 * left * (1.0 - left);
    assert!((last[1] / first[0] - single).abs() < 4.0 * (single / first[0]).sqrt() + 0.02);
}

#[test]
fn the_same_seed_gives_the_same_movie() {
    assert_eq!(movie(PARTICLE, "frames = 20", 6), movie(PARTICLE, "frames = 20", 6));
    assert_ne!(movie(PARTICLE, "frames = 20", 6).occupancy, movie(PARTICLE, "frames = 20", 7).occupancy);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let parse = |text: &str| toml::from_str::<DynamicsSettings>(text);
    assert!(parse("rates.face = { emptying_per_s = 1, filling_per_s = 1 }").unwrap_err().message().contains("face"));
    assert!(parse("rates.facet = { emptying_per_s = 1 }").unwrap_err().message().contains("filling_per_s"));
    assert!(parse("drift = { x_nm_per_frame = 1 }").unwrap_err().message().contains("x_nm_per_frame"));
    for text in
        ["frames = 0", "frame_time_s = 0", "hops_per_s = -1", "rates.edge = { emptying_per_s = -1, filling_per_s = 0 }"]
    {
        let found = Movie::build(specimen(PARTICLE, 1), &parse(text).unwrap(), SeedPath::new(1));
        assert!(matches!(found, Err(SpecimenError::OutOfRange { .. })), "{text}");
    }
    let mut free = specimen(PARTICLE, 1);
    free.structure.cell = None;
    assert!(Movie::build(free, &DynamicsSettings::default(), SeedPath::new(1)).is_err());
    let settings = DynamicsSettings::default();
    assert_eq!(parse(&toml::to_string(&settings).unwrap()).unwrap(), settings);
}
