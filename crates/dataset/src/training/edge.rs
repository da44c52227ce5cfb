//! Columns at the edge of a particle that are missing or only a few atoms high, as surface sites are that come and go.
//!
//! A column is at the edge if it has fewer columns around it than the fullest one has, within 1.25 times the median
//! distance between neighbours.

use atomlens_core::{Column, ColumnRole, SeedPath};
use atomlens_specimen::Specimen;
use rand::RngExt;

use super::EdgeSettings;

/// Most atoms that a thinned column keeps.
pub(super) const FEW: usize = 3;

/// Takes columns away or thins them; what was drawn may be nothing.
pub(super) fn thin(specimen: &mut Specimen, settings: &EdgeSettings, seed: SeedPath) {
    let mut random = seed.stream();
    let removed = settings.removed_fraction.sample(&mut random);
    let thinned = settings.thinned_fraction.sample(&mut random);
    if removed <= 0.0 && thinned <= 0.0 {
        return;
    }
    let edge = edge_columns(&specimen.columns);
    let atoms = &mut specimen.structure.atoms;
    let mut keep = vec![true; atoms.len()];
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); specimen.columns.len()];
    for (index, atom) in atoms.iter().enumerate() {
        if let Some(column) = atom.column {
            members[column as usize].push(index);
        }
    }
    for column in edge {
        let draw: f64 = random.random();
        let kept = if draw < removed {
            0
        } else if draw < removed + thinned {
            random.random_range(1..=FEW)
        } else {
            continue;
        };
        let members = &mut members[column];
        members.sort_by(|&a, &b| atoms[a].position_angstrom.z.total_cmp(&atoms[b].position_angstrom.z));
        let first = random.random_range(0..=members.len().saturating_sub(kept));
        for (place, &atom) in members.iter().enumerate() {
            keep[atom] = (first..first + kept).contains(&place);
        }
    }
    let mut keep = keep.into_iter();
    atoms.retain(|_| keep.next().unwrap_or(true));
    let roles: Vec<ColumnRole> = specimen.columns.iter().map(|column| column.role).collect();
    specimen.columns = Column::gather(&mut specimen.structure, &roles);
}

pub(super) fn edge_columns(columns: &[Column]) -> Vec<usize> {
    let of_specimen: Vec<usize> =
        (0..columns.len()).filter(|&index| columns[index].role == ColumnRole::Specimen).collect();
    let distance = |a: usize, b: usize| {
        let (dx, dy) = (columns[a].x_angstrom - columns[b].x_angstrom, columns[a].y_angstrom - columns[b].y_angstrom);
        (dx * dx + dy * dy).sqrt()
    };
    let others = |a: usize| of_specimen.iter().filter(move |&&b| b != a).map(move |&b| distance(a, b));
    let mut nearest: Vec<f64> = of_specimen.iter().map(|&a| others(a).fold(f64::INFINITY, f64::min)).collect();
    nearest.sort_by(f64::total_cmp);
    let Some(median) = nearest.get(nearest.len() / 2) else { return Vec::new() };
    let reach = 1.25 * median;
    let neighbours: Vec<usize> =
        of_specimen.iter().map(|&a| others(a).filter(|distance| *distance < reach).count()).collect();
    let most = neighbours.iter().max().copied().unwrap_or(0);
    of_specimen.into_iter().zip(neighbours).filter(|(_, count)| *count < most).map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use atomlens_core::Distribution;
    use atomlens_specimen::SpecimenSettings;

    use super::*;

    #[test]
    fn only_the_edge_is_thinned() {
        let settings: SpecimenSettings =
            toml::from_str("[body]\nkind = 'nanoparticle'\nelement = 'Au'\nradius_angstrom = 12").unwrap();
        let whole = settings.build([50.0; 2], None, SeedPath::new(3)).unwrap();
        let edge = edge_columns(&whole.columns);
        assert!(edge.len() > 10 && edge.len() < whole.columns.len() / 2, "{} of {}", edge.len(), whole.columns.len());
        let mut specimen = whole.clone();
        let settings = EdgeSettings { removed_fraction: Distribution::Constant(0.5), thinned_fraction: 0.5.into() };
        thin(&mut specimen, &settings, SeedPath::new(4));
        assert!(specimen.columns.len() < whole.columns.len());
        let few = specimen.columns.iter().filter(|column| column.atom_count() <= FEW as u32).count();
        assert!(few > edge.len() / 5, "{few}");
        let atoms: u32 = specimen.columns.iter().map(Column::atom_count).sum();
        assert_eq!(atoms as usize, specimen.structure.atoms.len());
        let untouched = specimen.columns.iter().filter(|column| whole.columns.contains(column)).count();
        assert!(untouched >= whole.columns.len() - edge.len());
    }
}
