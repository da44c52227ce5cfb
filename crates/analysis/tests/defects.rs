//! Defects of sheets whose truth is known: MoS2 of another program (`../shared/reference/mos2`), and specimens of ours.
#![allow(clippy::print_stdout, reason = "figures, and which data are absent")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use atomlens_analysis::defects::species::{ShareSettings, refine_sheet};
use atomlens_analysis::defects::{
    DefectError, DefectKind, DefectSettings, EdgeKind, Region, SheetColumns, SheetDefects, Sublattice, find_defects,
};
use atomlens_core::glam::DVec2;
use atomlens_core::{DetectedColumn, SeedPath};
use ndarray::Array2;
use rand::RngExt;
use rand_distr::{Distribution, Normal};

const SIDE_PX: f64 = 512.0;

/// A column that is surely there, of a sure species.
fn column(place: DVec2, species: usize) -> DetectedColumn {
    DetectedColumn {
        x_angstrom: place.x,
        y_angstrom: place.y,
        position_sigma_angstrom: 0.05,
        probability: 1.0,
        species,
        species_probability: 1.0,
        atoms: 1.0,
        atoms_sigma: 0.3,
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn defects_of(
    columns: &[DetectedColumn],
    species: &[&str],
    field: [[f64; 2]; 2],
    border_angstrom: f64,
) -> SheetDefects {
    let species = names(species);
    let input = SheetColumns {
        columns,
        species: &species,
        species_probabilities: None,
        field_angstrom: field,
        missed_share: 0.0,
        column_probability_at: None,
    };
    find_defects(&input, &DefectSettings { border_angstrom, ..DefectSettings::default() }).unwrap()
}

/// A reference sheet: columns, the side of its field, and its ideal sites with their true column.
struct Reference {
    columns: Vec<DetectedColumn>,
    side: f64,
    /// Place, kind of site, column.
    sites: Vec<(DVec2, Sublattice, Option<usize>)>,
}

const MOS2: [&str; 3] = ["Mo", "S2", "S"];

/// The reference's sheets, or none where the folder is not there.
fn reference() -> Vec<Reference> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/mos2");
    let Ok(meta) = std::fs::read_to_string(folder.join("meta.json")) else {
        println!("skipped: {} is not here", folder.display());
        return Vec::new();
    };
    let meta: serde_json::Value = serde_json::from_str(&meta).unwrap();
    let load = |(number, meta): (usize, &serde_json::Value)| {
        let text = std::fs::read_to_string(folder.join(format!("columns_{number:03}.csv"))).unwrap();
        let columns: Vec<DetectedColumn> = text
            .lines()
            .skip(1)
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                let place = DVec2::new(cells[0].parse().unwrap(), cells[1].parse().unwrap());
                column(place, MOS2.iter().position(|&name| name == cells[2]).unwrap())
            })
            .collect();
        let side = SIDE_PX * meta["sampling_A"].as_f64().unwrap();
        let sites = ideal_sites(&columns, side);
        Reference { columns, side, sites }
    };
    meta.as_array().unwrap().iter().enumerate().map(load).collect()
}

fn place_of(column: &DetectedColumn) -> DVec2 {
    DVec2::new(column.x_angstrom, column.y_angstrom)
}

/// The generator's lattice of 3.18 angstrom, laid through the columns by brute force: the direction from the molybdenum's
/// neighbours, the origin from their mean phase.
fn ideal_sites(columns: &[DetectedColumn], side: f64) -> Vec<(DVec2, Sublattice, Option<usize>)> {
    let a = 3.18;
    let metals: Vec<DVec2> = columns.iter().filter(|column| column.species == 0).map(place_of).collect();
    let mut sixfold = DVec2::ZERO;
    for (nth, &one) in metals.iter().enumerate() {
        for &other in &metals[nth + 1..] {
            if (one.distance(other) - a).abs() < 0.02 {
                sixfold += DVec2::from_angle(6.0 * (other - one).to_angle());
            }
        }
    }
    let turn = DVec2::from_angle(sixfold.to_angle() / 6.0);
    let (u, v) = (turn.rotate(DVec2::new(a, 0.0)), turn.rotate(DVec2::new(0.5 * a, 0.75_f64.sqrt() * a)));
    let mut hand = (0, 0);
    let centre = (u + v) / 3.0;
    for &metal in &metals {
        let near = |at: DVec2| columns.iter().any(|c| c.species > 0 && place_of(c).distance(metal + at) < 0.2);
        hand.0 += usize::from(near(centre));
        hand.1 += usize::from(near(-centre));
    }
    let to_chalcogen = if hand.0 > hand.1 { centre } else { -centre };
    let mut sites = Vec::new();
    for n in -40..=40 {
        for m in -40..=40 {
            let metal = metals[0] + f64::from(n) * u + f64::from(m) * v;
            for (place, kind) in [(metal, Sublattice::Metal), (metal + to_chalcogen, Sublattice::Chalcogen)] {
                if place.min_element() < -4.0 || place.max_element() > side + 4.0 {
                    continue;
                }
                let is_metal = kind == Sublattice::Metal;
                let on = |c: &DetectedColumn| (c.species == 0) == is_metal && place_of(c).distance(place) < 0.3;
                sites.push((place, kind, columns.iter().position(on)));
            }
        }
    }
    assert_eq!(sites.iter().filter(|site| site.2.is_some()).count(), columns.len(), "every column is on a site");
    sites
}

impl Reference {
    /// Whether all sites bonded to one have a column.
    fn enclosed(&self, place: DVec2) -> bool {
        let around = self.sites.iter().filter(|site| (site.0.distance(place) - 1.836).abs() < 0.1);
        around.filter(|site| site.2.is_some()).count() == 3
    }
}

fn kind_of(kind: Sublattice) -> DefectKind {
    if kind == Sublattice::Metal { DefectKind::MetalVacancy } else { DefectKind::DoubleChalcogenVacancy }
}

#[test]
fn every_vacancy_of_the_true_columns_is_found_and_nothing_else() {
    let (mut singles, mut empties, mut edge_singles, mut at_border) = (0, 0, 0, 0);
    for (number, sheet) in reference().iter().enumerate() {
        let found = defects_of(&sheet.columns, &MOS2, [[0.0; 2], [sheet.side; 2]], 0.0);
        assert_eq!(found.summary.crystals.len(), 1);
        let crystal = &found.summary.crystals[0];
        assert_eq!(crystal.columns, sheet.columns.len(), "{number}");
        assert!((crystal.lattice_angstrom - 3.18).abs() < 1e-3 && crystal.scatter_angstrom < 1e-3, "{crystal:?}");
        assert_eq!(crystal.hosts, [(Sublattice::Metal, 0), (Sublattice::Chalcogen, 1)]);

        // Single vacancies: exactly the columns of one S, at the edge and inside.
        let true_singles: BTreeSet<usize> =
            (0..sheet.columns.len()).filter(|&c| sheet.columns[c].species == 2).collect();
        let of_kind = |kind: DefectKind| found.defects.iter().filter(move |defect| defect.kind == kind);
        let found_singles: BTreeSet<usize> = of_kind(DefectKind::ChalcogenVacancy).map(|d| d.members[0]).collect();
        assert_eq!(found_singles, true_singles, "{number}");
        singles += of_kind(DefectKind::ChalcogenVacancy).filter(|d| d.region == Region::Interior).count();
        edge_singles += of_kind(DefectKind::ChalcogenVacancy).filter(|d| d.region != Region::Interior).count();

        // Empty sites: all that are enclosed by columns, none that is not a site of the true lattice without a column.
        for kind in [Sublattice::Metal, Sublattice::Chalcogen] {
            let true_empty = |place: DVec2| {
                sheet.sites.iter().any(|site| site.1 == kind && site.2.is_none() && site.0.distance(place) < 0.05)
            };
            let places: Vec<DVec2> = of_kind(kind_of(kind)).map(|d| DVec2::new(d.x_angstrom, d.y_angstrom)).collect();
            for &place in &places {
                assert!(true_empty(place), "{number}: {kind:?} at {place}");
            }
            for site in sheet.sites.iter().filter(|site| site.1 == kind && site.2.is_none()) {
                if sheet.enclosed(site.0) {
                    assert!(places.iter().any(|place| place.distance(site.0) < 0.05), "{number}: {kind:?} {}", site.0);
                }
            }
            empties += of_kind(kind_of(kind)).filter(|d| d.region == Region::Interior).count();
            at_border += of_kind(kind_of(kind)).filter(|d| d.region == Region::Border).count();
        }
        for kind in [DefectKind::Substitution, DefectKind::Antisite, DefectKind::OffSite, DefectKind::PentagonHeptagon]
        {
            assert_eq!(of_kind(kind).count(), 0, "{number}: {kind:?}");
        }
        let rings: Vec<usize> = found.summary.rings.iter().map(|(size, _)| *size).collect();
        assert_eq!(rings, [6], "{number}");
        assert!(!found.edges.is_empty(), "{number}");
        // Area by sites and by rings: they differ by the rim.
        let by_sites = found.summary.interior_sites as f64 * 3.18 * 3.18 * 0.75_f64.sqrt() / 200.0;
        assert!(
            (0.75..1.25).contains(&(by_sites / found.summary.area_nm2)),
            "{number}: {by_sites} {}",
            found.summary.area_nm2
        );
    }
    println!(
        "{singles} single vacancies inside, {edge_singles} at edges; {empties} empty sites inside, {at_border} at the border"
    );
}

#[test]
fn vacancies_survive_scatter_missed_columns_and_mistaken_species() {
    let normal = Normal::new(0.0, 0.1).unwrap();
    let (mut truth, mut expected, mut variance) = ([0.0; 3], [0.0; 3], [0.0; 3]);
    let (mut lost, mut false_off, mut sites) = (0, 0, 0);
    for (number, sheet) in reference().iter().enumerate() {
        for repeat in 0..3 {
            let mut random = SeedPath::new(7).index(number as u64).index(repeat).stream();
            let mut kept = Vec::new();
            for (index, column) in sheet.columns.iter().enumerate() {
                if random.random::<f64>() < 0.02 {
                    continue;
                }
                let mut seen = column.clone();
                seen.x_angstrom += normal.sample(&mut random);
                seen.y_angstrom += normal.sample(&mut random);
                if random.random::<f64>() < 0.02 {
                    seen.species = (seen.species + 1 + usize::from(random.random::<bool>())) % 3;
                }
                kept.push((index, seen));
            }
            let columns: Vec<DetectedColumn> = kept.iter().map(|(_, column)| column.clone()).collect();
            let common = |species: usize| sheet.columns.iter().filter(|c| c.species == species).count() as f64;
            // Bayes: how common a species is, times how often it is called what it was called.
            let mut table = Array2::zeros((columns.len(), 3));
            for (mut row, column) in table.outer_iter_mut().zip(&columns) {
                for species in 0..3 {
                    row[species] = common(species) * if species == column.species { 0.98 } else { 0.01 };
                }
                row /= row.sum();
            }
            // And for each kind of site, what is common on it.
            let shares: Vec<f64> = (0..3).map(|species| common(species) / sheet.columns.len() as f64).collect();
            let species = names(&MOS2);
            let input = SheetColumns {
                columns: &columns,
                species: &species,
                species_probabilities: Some(table.view()),
                field_angstrom: [[0.0; 2], [sheet.side; 2]],
                missed_share: 0.02,
                column_probability_at: None,
            };
            let settings = DefectSettings { border_angstrom: 0.5, ..DefectSettings::default() };
            let refined = refine_sheet(&input, &shares, &settings, &ShareSettings::default()).unwrap();
            let input = SheetColumns { species_probabilities: Some(refined.probabilities.view()), ..input };
            let found = find_defects(&input, &settings).unwrap();
            assert_eq!(found.summary.crystals.len(), 1, "{number}");
            let crystal = &found.summary.crystals[0];
            lost += columns.len() - crystal.columns;
            sites += columns.len();
            assert!((crystal.scatter_angstrom - 0.1).abs() < 0.02, "{number}: {}", crystal.scatter_angstrom);
            let off = (crystal.lattice_angstrom - 3.18).abs() / crystal.lattice_sigma_angstrom;
            assert!(off < 4.5, "{number}: {off} sigma");
            false_off += found.defects.iter().filter(|defect| defect.kind == DefectKind::OffSite).count();
            for site in found.sites.iter().filter(|site| site.region == Region::Interior && site.column.is_none()) {
                let place = DVec2::new(site.x_angstrom, site.y_angstrom);
                let nearest =
                    sheet.sites.iter().min_by(|a, b| a.0.distance(place).total_cmp(&b.0.distance(place))).unwrap();
                assert!(nearest.0.distance(place) < 0.3 && nearest.1 == site.sublattice, "{number} {place}");
                truth[usize::from(site.sublattice == Sublattice::Chalcogen)] +=
                    f64::from(u8::from(nearest.2.is_none()));
            }
            for site in found.sites.iter().filter(|site| site.region == Region::Interior) {
                let Some(column) = site.column else { continue };
                truth[2] += f64::from(u8::from(sheet.columns[kept[column].0].species == 2));
            }
            let kinds = [DefectKind::MetalVacancy, DefectKind::DoubleChalcogenVacancy, DefectKind::ChalcogenVacancy];
            for (at, kind) in kinds.into_iter().enumerate() {
                let count = found.summary.counts.iter().find(|count| count.kind == kind).unwrap();
                expected[at] += count.expected;
                variance[at] += count.expected_sigma.powi(2);
            }
        }
    }
    println!("true {truth:?}, expected {expected:?} +- {:?}", variance.map(f64::sqrt));
    assert!(false_off <= 1, "{false_off} columns called off site");
    for at in 0..3 {
        let off = (truth[at] - expected[at]).abs();
        assert!(off < 3.0 * (variance[at] + expected[at]).sqrt() + 3.0, "{at}: {truth:?} {expected:?}");
    }
    assert!(lost * 200 <= sites, "{lost} of {sites}");
}

#[test]
fn species_that_look_alike_are_told_by_their_sites() {
    // Two values are measured of each column, by which the species are 1.6 standard deviations apart.
    let centres = [DVec2::ZERO, DVec2::new(1.6, 0.0), DVec2::new(0.8, 3.2)];
    let shares = [0.4, 0.4, 0.2];
    let normal = Normal::new(0.0, 1.0).unwrap();
    let (mut before, mut after, mut columns) = (0, 0, 0);
    for (number, sheet) in reference().iter().enumerate() {
        let mut random = SeedPath::new(8).index(number as u64).stream();
        let mut table = Array2::zeros((sheet.columns.len(), 3));
        for (mut row, column) in table.outer_iter_mut().zip(&sheet.columns) {
            let value = centres[column.species] + DVec2::new(normal.sample(&mut random), normal.sample(&mut random));
            for (at, centre) in centres.into_iter().enumerate() {
                row[at] = shares[at] * (-0.5 * value.distance_squared(centre)).exp();
            }
            row /= row.sum();
        }
        let species = names(&MOS2);
        let input = SheetColumns {
            columns: &sheet.columns,
            species: &species,
            species_probabilities: Some(table.view()),
            field_angstrom: [[0.0; 2], [sheet.side; 2]],
            missed_share: 0.0,
            column_probability_at: None,
        };
        let found = refine_sheet(&input, &shares, &DefectSettings::default(), &ShareSettings::default()).unwrap();
        assert!(found.converged && found.sites.iter().all(Option::is_some));
        for (column, truth) in sheet.columns.iter().enumerate() {
            let home = if truth.species == 0 { Sublattice::Metal } else { Sublattice::Chalcogen };
            assert_eq!(found.sites[column].unwrap().sublattice, home, "{number}: {column}");
            let row = table.row(column);
            before += usize::from((0..3).any(|other| row[other] > row[truth.species]));
            after += usize::from(found.species[column] != truth.species);
            columns += 1;
        }
        let mut renamed = sheet.columns.clone();
        found.apply(&mut renamed);
        assert!(renamed.iter().zip(&found.species).all(|(column, &species)| column.species == species));
    }
    assert!(before * 10 >= columns && after * 25 <= columns, "{before} {after} {columns}");
}

/// Columns of a layer of ours in a field of view that the sheet covers, and its side.
fn layer(recipe: &str, side: f64, seed: u64) -> (Vec<DetectedColumn>, Vec<String>) {
    let settings = toml::from_str(recipe).unwrap();
    let body = atomlens_specimen::layer::build(&settings, [side, side], SeedPath::new(seed)).unwrap();
    let mut columns: Vec<(DVec2, String)> = Vec::new();
    let mut by_column: Vec<Vec<&atomlens_core::Atom>> = vec![Vec::new(); body.roles.len()];
    for atom in &body.structure.atoms {
        by_column[atom.column.unwrap() as usize].push(atom);
    }
    for atoms in by_column {
        let place = atoms.iter().map(|atom| atom.position_angstrom.truncate()).sum::<DVec2>() / atoms.len() as f64;
        let symbol = atoms[0].element.symbol();
        let name = if atoms.len() == 1 { symbol.to_owned() } else { format!("{symbol}{}", atoms.len()) };
        let place = place + 0.5 * side;
        if place.cmpge(DVec2::ZERO).all() && place.cmple(DVec2::splat(side)).all() {
            columns.push((place, name));
        }
    }
    let species: BTreeSet<String> = columns.iter().map(|(_, name)| name.clone()).collect();
    let species: Vec<String> = species.into_iter().collect();
    let index = |name: &String| species.iter().position(|other| other == name).unwrap();
    (columns.iter().map(|(place, name)| column(*place, index(name))).collect(), species)
}

fn sheet(recipe: &str, side: f64, seed: u64) -> SheetDefects {
    let (columns, species) = layer(recipe, side, seed);
    let species: Vec<&str> = species.iter().map(String::as_str).collect();
    defects_of(&columns, &species, [[0.0; 2], [side; 2]], 1.0)
}

fn rings(found: &SheetDefects, size: usize) -> usize {
    found.summary.rings.iter().find(|(of, _)| *of == size).map_or(0, |(_, number)| *number)
}

fn number_of(found: &SheetDefects, kind: DefectKind) -> usize {
    found.defects.iter().filter(|defect| defect.kind == kind).count()
}

#[test]
fn turned_bonds_are_two_pentagons_and_two_heptagons_each() {
    let mut total = 0;
    for seed in 0..2 {
        let found = sheet("material = 'graphene'\nstone_wales_fraction = 0.004", 80.0, seed);
        let turned = number_of(&found, DefectKind::StoneWales);
        total += turned;
        assert_eq!(found.summary.crystals.len(), 1);
        // Two that touch share rings or make others of them, and the border cuts some.
        let alone = number_of(&found, DefectKind::Pentagon)
            + number_of(&found, DefectKind::Heptagon)
            + number_of(&found, DefectKind::PentagonHeptagon);
        assert!(rings(&found, 5).abs_diff(2 * turned) <= 6 && rings(&found, 7).abs_diff(2 * turned) <= 6, "{seed}");
        assert!(alone <= 8, "{seed}: {alone}");
        for kind in [DefectKind::CarbonVacancy, DefectKind::VacancyCluster, DefectKind::OffSite] {
            assert_eq!(number_of(&found, kind), 0, "{seed}: {kind:?}");
        }
    }
    // 64 nm^2 x 38.2 atoms x 1.5 bonds x 0.004, less those that others are in the way of.
    let expected: f64 = 2.0 * 64.0 * 38.2 * 1.5 * 0.004;
    assert!(
        (total as f64) > 0.8 * expected - 3.0 * expected.sqrt() && (total as f64) < expected + 3.0 * expected.sqrt(),
        "{total} {expected}"
    );
}

#[test]
fn a_site_is_empty_as_far_as_the_detector_says() {
    let (columns, species) = layer("material = 'graphene'\nvacancy_fraction = 0.01", 60.0, 5);
    let listed = |column_probability_at: Option<&dyn Fn(f64, f64) -> f64>| -> (usize, f64) {
        let input = SheetColumns {
            columns: &columns,
            species: &species,
            species_probabilities: None,
            field_angstrom: [[0.0; 2], [60.0; 2]],
            // On average it misses more columns than atoms are missing here.
            missed_share: 0.05,
            column_probability_at,
        };
        let found = find_defects(&input, &DefectSettings::default()).unwrap();
        let count = found.summary.counts.iter().find(|count| count.kind == DefectKind::CarbonVacancy).unwrap();
        (count.count, count.expected)
    };
    let (hidden, _) = listed(None);
    let (all, expected) = listed(Some(&|_, _| 0.02));
    assert!(hidden == 0 && all > 5, "{hidden} {all}");
    assert!((expected - 0.98 * all as f64).abs() < 0.05 * all as f64, "{expected} {all}");
    assert_eq!(listed(Some(&|_, _| 0.9)).0, 0);
    // One half of the image is clear, the other is not.
    let (half, _) = listed(Some(&|x, _| if x < 30.0 { 0.02 } else { 0.9 }));
    assert!(0 < half && half < all, "{half} of {all}");
    // What is no probability says nothing.
    assert_eq!(listed(Some(&|_, _| f64::NAN)), listed(None));
}

#[test]
fn vacancies_of_graphene_and_boron_nitride_are_counted_by_kind() {
    let found = sheet("material = 'graphene'\nvacancy_fraction = 0.01", 80.0, 3);
    let count = found.summary.counts.iter().find(|count| count.kind == DefectKind::CarbonVacancy).unwrap();
    assert!(count.fraction_interval.unwrap()[0] < 0.01 && count.fraction_interval.unwrap()[1] > 0.01);
    assert!((count.sites.unwrap() as f64 / count.area_nm2 - 38.17).abs() < 0.3, "sites a nm^2");

    let found = sheet("material = 'hBN'\nboron_vacancy_fraction = 0.02\nnitrogen_vacancy_fraction = 0.005", 80.0, 4);
    for (kind, truth) in [(DefectKind::BoronVacancy, 0.02), (DefectKind::NitrogenVacancy, 0.005)] {
        let count = found.summary.counts.iter().find(|count| count.kind == kind).unwrap();
        let [low, high] = count.fraction_interval.unwrap();
        assert!(low < truth && high > truth, "{count:?}");
    }
    assert_eq!(number_of(&found, DefectKind::Antisite), 0);
}

/// A honeycomb of carbon, or of two kinds (species 0 and 1), that fills a square, turned about the origin.
fn honeycomb(a: f64, turn_rad: f64, origin: DVec2, side: f64) -> Vec<(DVec2, usize)> {
    let turn = DVec2::from_angle(turn_rad);
    let (u, v) = (DVec2::new(a, 0.0), DVec2::new(0.5 * a, 0.75_f64.sqrt() * a));
    let most = (2.0 * side / a) as i32;
    let mut sites = Vec::new();
    for n in -most..=most {
        for m in -most..=most {
            let corner = f64::from(n) * u + f64::from(m) * v;
            for (kind, place) in [corner, corner + (u + v) / 3.0].into_iter().enumerate() {
                let place = turn.rotate(place) + origin;
                if place.cmpge(DVec2::ZERO).all() && place.cmple(DVec2::splat(side)).all() {
                    sites.push((place, kind));
                }
            }
        }
    }
    sites
}

#[test]
fn a_boundary_has_its_angle_and_length() {
    // Two lattices cut along a line; columns too near to one of the other are left out.
    let (side, a, middle) = (80.0, 2.46, DVec2::splat(40.0));
    for (number, (turns_degree, line_degree)) in
        [([0.0, 10.0], 0.0), ([5.0, 21.0], 30.0), ([-17.0, 12.0], 75.0), ([40.0, 70.0], 45.0)].into_iter().enumerate()
    {
        let normal = DVec2::from_angle(f64::to_radians(line_degree)).perp();
        let mut columns: Vec<DetectedColumn> = Vec::new();
        for (turn_degree, sign) in turns_degree.into_iter().zip([1.0, -1.0]) {
            for (place, _) in honeycomb(a, f64::to_radians(turn_degree), DVec2::new(0.3, 0.7), side) {
                let free = columns.iter().all(|other| place_of(other).distance(place) > 1.0);
                if sign * (place - middle).dot(normal) >= 0.0 && free {
                    columns.push(column(place, 0));
                }
            }
        }
        let found = defects_of(&columns, &["C"], [[0.0; 2], [side; 2]], 1.0);
        assert_eq!((found.summary.crystals.len(), found.boundaries.len()), (2, 1), "{number}");
        let boundary = &found.boundaries[0];
        let turn: f64 = turns_degree[1] - turns_degree[0];
        let expected = turn.min(60.0 - turn);
        assert!((boundary.misorientation_rad.to_degrees() - expected).abs() < 0.3, "{number}: {boundary:?}");
        let direction = f64::to_radians(line_degree);
        let chord = 8.0 / direction.cos().abs().max(direction.sin().abs());
        assert!((boundary.length_nm / chord - 1.0).abs() < 0.12, "{number}: {} of {chord}", boundary.length_nm);
        let off = |point: &[f64; 2]| (DVec2::from_array(*point) - middle).dot(normal).abs();
        assert!(boundary.path_angstrom.iter().all(|point| off(point) < 3.0), "{number}");
        for kind in [DefectKind::CarbonVacancy, DefectKind::VacancyCluster] {
            assert_eq!(number_of(&found, kind), 0, "{number}: {kind:?}");
        }
    }
}

#[test]
fn domains_of_one_lattice_with_exchanged_sites_are_two_crystals() {
    let (side, a) = (70.0, 3.16);
    let columns: Vec<DetectedColumn> = honeycomb(a, 0.1, DVec2::new(0.4, 0.2), side)
        .into_iter()
        .map(|(place, kind)| column(place, if place.x < 35.0 { kind } else { 1 - kind }))
        .collect();
    let found = defects_of(&columns, &["Mo", "S2"], [[0.0; 2], [side; 2]], 1.0);
    assert_eq!((found.summary.crystals.len(), found.boundaries.len()), (2, 1));
    let boundary = &found.boundaries[0];
    assert!(boundary.inversion && (boundary.misorientation_rad.to_degrees() - 60.0).abs() < 0.1, "{boundary:?}");
    assert!((boundary.length_nm / 7.0 - 1.0).abs() < 0.1, "{}", boundary.length_nm);
    assert!(number_of(&found, DefectKind::Antisite) <= 2, "{}", number_of(&found, DefectKind::Antisite));
}

#[test]
fn antisites_and_foreign_atoms_are_found_where_they_were_put() {
    let side = 60.0;
    let species = ["Mo", "W", "S2", "S", "SSe"];
    let mut truth: [Vec<usize>; 3] = Default::default();
    let columns: Vec<DetectedColumn> = honeycomb(3.16, 0.3, DVec2::ZERO, side)
        .into_iter()
        .enumerate()
        .map(|(number, (place, kind))| {
            let (own, foreign, swapped) = if kind == 0 { (0, 1, 2) } else { (2, 4, 0) };
            let species = match number % 40 {
                3 => foreign,
                17 => swapped,
                _ => own,
            };
            let slot = if species == foreign {
                0
            } else if species == swapped {
                1
            } else {
                2
            };
            truth[slot].push(number);
            column(place, species)
        })
        .collect();
    let found = defects_of(&columns, &species, [[0.0; 2], [side; 2]], 1.0);
    for (slot, kind) in [(0, DefectKind::Substitution), (1, DefectKind::Antisite)] {
        let mut members: Vec<usize> =
            found.defects.iter().filter(|defect| defect.kind == kind).map(|defect| defect.members[0]).collect();
        members.sort_unstable();
        assert_eq!(members, truth[slot], "{kind:?}");
    }
    let substitution = found.defects.iter().find(|defect| defect.kind == DefectKind::Substitution).unwrap();
    let names = (substitution.species.map(|at| species[at]), substitution.expected_species.map(|at| species[at]));
    assert!([(Some("W"), Some("Mo")), (Some("SSe"), Some("S2"))].contains(&names), "{names:?}");
}

#[test]
fn grains_of_graphene_hold_no_vacancies_and_their_boundaries_are_pentagons_and_heptagons() {
    let mut vacancies = 0;
    for seed in 0..2 {
        let found = sheet("material = 'graphene'\ngrains = 3", 90.0, seed);
        vacancies += number_of(&found, DefectKind::CarbonVacancy) + number_of(&found, DefectKind::VacancyCluster);
        assert!(found.summary.crystals.len() >= 2 && !found.boundaries.is_empty(), "{seed}");
        for crystal in &found.summary.crystals {
            assert!(crystal.scatter_angstrom < 0.12, "{seed}: {crystal:?}");
            assert!((crystal.lattice_angstrom - 2.46).abs() < 0.05, "{seed}: {crystal:?}");
        }
        // A network of three bonds an atom: 6 times Euler's number is the sum of what rings miss of six, up to the rim.
        let charge: i64 = found.summary.rings.iter().map(|&(size, number)| (6 - size as i64) * number as i64).sum();
        assert!(charge.abs() <= 6, "{seed}: {:?}", found.summary.rings);
        let (five, seven) = (rings(&found, 5), rings(&found, 7));
        let paired = number_of(&found, DefectKind::PentagonHeptagon) + 2 * number_of(&found, DefectKind::StoneWales);
        assert!(five > 10 && 10 * paired > 8 * five.min(seven), "{seed}: {five} {seven} {paired}");
        // Frank's rule, N >= 2 sin(angle / 2) length / a of the largest Burgers vector a.
        let longest = found.boundaries.iter().max_by(|a, b| a.length_nm.total_cmp(&b.length_nm)).unwrap();
        let fewest = 2.0 * (longest.misorientation_rad / 2.0).sin() * longest.length_nm / 0.246;
        assert!(
            longest.dislocations as f64 > 0.6 * fewest && (longest.dislocations as f64) < 2.5 * fewest,
            "{longest:?}"
        );
    }
    assert!(vacancies <= 1, "{vacancies}");
}

#[test]
fn edges_are_named_by_direction_and_termination() {
    let side = 60.0;
    for (material, direction) in
        [("MoS2", "zigzag"), ("MoS2", "armchair"), ("hBN", "zigzag"), ("graphene", "zigzag"), ("graphene", "armchair")]
    {
        for seed in 0..2 {
            let recipe = format!(
                "material = '{material}'\n[edge]\ncount = 1\ndirection = '{direction}'\ndistance_fraction = 0.1"
            );
            let (columns, species) = layer(&recipe, side, seed);
            let names: Vec<&str> = species.iter().map(String::as_str).collect();
            let found = defects_of(&columns, &names, [[0.0; 2], [side; 2]], 1.0);
            let kind = if direction == "zigzag" { EdgeKind::Zigzag } else { EdgeKind::Armchair };
            let straight: Vec<_> = found.edges.iter().filter(|edge| edge.kind == kind).collect();
            assert_eq!(straight.len(), 1, "{material} {direction} {:?}", found.summary.edges);
            let edge = straight[0];
            // The specimen's rows of the zigzag direction run along x, turned by multiples of 60 degrees.
            let sixths = (edge.direction_rad.to_degrees() - if kind == EdgeKind::Zigzag { 0.0 } else { 30.0 }) / 60.0;
            assert!((sixths - sixths.round()).abs() < 0.02, "{material} {direction} {}", edge.direction_rad);
            // A chord near the middle of a square of 5.8 nm.
            assert!((5.0..7.5).contains(&edge.length_nm), "{material} {direction} {}", edge.length_nm);
            let (start, end) = (DVec2::from_array(edge.start_angstrom), DVec2::from_array(edge.end_angstrom));
            assert!((start.distance(end) / 10.0 - edge.length_nm).abs() < 0.2, "{edge:?}");
            // All columns lie on the left.
            let along = (end - start).normalize();
            assert!(
                columns.iter().all(|column| along.perp_dot(place_of(column) - start) > -0.2),
                "{material} {direction}"
            );
            if kind == EdgeKind::Zigzag && material != "graphene" {
                let outermost: BTreeSet<usize> = edge.columns.iter().map(|&column| columns[column].species).collect();
                assert_eq!(outermost.len(), 1);
                let name = names[*outermost.first().unwrap()];
                let home = match name {
                    "Mo" => Sublattice::Metal,
                    "B" => Sublattice::Boron,
                    "N" => Sublattice::Nitrogen,
                    _ => Sublattice::Chalcogen,
                };
                assert_eq!(edge.termination, Some(home), "{name}");
            } else {
                assert_eq!(edge.termination, None);
            }
        }
    }
}

#[test]
fn a_hole_is_no_cluster_of_vacancies() {
    let found = sheet("material = 'graphene'\n[hole]\ncount = 1\nradius_angstrom = 10.0", 60.0, 1);
    assert!(found.edges.iter().all(|edge| edge.hole) && !found.edges.is_empty());
    assert_eq!(number_of(&found, DefectKind::VacancyCluster), 0);
    // A circle of 1 nm radius, its steps along the lattice, and what is out of round.
    let length: f64 = found.edges.iter().map(|edge| edge.length_nm).sum();
    assert!((6.0..10.0).contains(&length), "{length}");
    assert!(found.summary.area_nm2 < 0.95 * 36.0 - 2.5, "{}", found.summary.area_nm2);
}

#[test]
fn what_is_no_sheet_is_refused() {
    let species = names(&["C"]);
    let of = |columns: &[DetectedColumn]| {
        let input = SheetColumns {
            columns,
            species: &species,
            species_probabilities: None,
            field_angstrom: [[0.0; 2], [50.0; 2]],
            missed_share: 0.0,
            column_probability_at: None,
        };
        find_defects(&input, &DefectSettings::default()).unwrap_err()
    };
    assert!(matches!(of(&[]), DefectError::TooFewColumns { found: 0, .. }));
    let same: Vec<DetectedColumn> = (0..40).map(|_| column(DVec2::ONE, 0)).collect();
    assert!(matches!(of(&same), DefectError::TooFewColumns { .. } | DefectError::NoHoneycomb { .. }));
    let square: Vec<DetectedColumn> =
        (0..400).map(|at| column(2.0 * DVec2::new(f64::from(at % 20), f64::from(at / 20)), 0)).collect();
    assert!(matches!(of(&square), DefectError::NoHoneycomb { .. }));
    let mut broken = square.clone();
    broken[3].x_angstrom = f64::NAN;
    assert!(matches!(of(&broken), DefectError::OutOfRange { .. }));
    let mut unknown = square;
    unknown[3].species = 1;
    assert!(matches!(of(&unknown), DefectError::SpeciesOutOfRange { column: 3, species: 1, known: 1 }));
}
