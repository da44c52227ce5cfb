//! What the names of species mean in a sheet, and how likely each column is what.

use std::collections::BTreeMap;

use atomlens_core::Element;
use ndarray::Array2;

use super::{DefectError, SheetColumns, Sublattice};

/// Elements that sit in pairs in MX2.
const CHALCOGENS: [&str; 4] = ["O", "S", "Se", "Te"];

/// A species of a sheet: where it belongs, and its atoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Species {
    pub(super) home: Sublattice,
    pub(super) atoms: u32,
    /// Atoms by symbol; `M` and `X` stand for any.
    pub(super) elements: BTreeMap<String, u32>,
}

impl Species {
    fn parse(name: &str) -> Option<Species> {
        let elements = atoms_by_symbol(name)?;
        let atoms = elements.values().sum();
        let all = |known: &dyn Fn(&str) -> bool| elements.keys().all(|symbol| known(symbol));
        let home = match (atoms, name) {
            (1, "C") => Sublattice::Carbon,
            (1, "B") => Sublattice::Boron,
            (1, "N") => Sublattice::Nitrogen,
            (1 | 2, _) if all(&|symbol| symbol == "X" || CHALCOGENS.contains(&symbol)) => Sublattice::Chalcogen,
            (1, _) if all(&|symbol| symbol == "M" || symbol.parse::<Element>().is_ok()) => Sublattice::Metal,
            _ => return None,
        };
        Some(Species { home, atoms, elements })
    }

    /// Whether its elements are not all among those of another species.
    fn is_foreign_to(&self, host: &Species) -> bool {
        self.elements.keys().any(|symbol| !host.elements.contains_key(symbol))
    }
}

/// `SSe` is one S and one Se, `Te2` two Te.
fn atoms_by_symbol(name: &str) -> Option<BTreeMap<String, u32>> {
    let mut elements = BTreeMap::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if !first.is_ascii_uppercase() {
            return None;
        }
        let letters = 1 + rest[1..].chars().take_while(char::is_ascii_lowercase).count();
        let (symbol, after) = rest.split_at(letters);
        let digits = after.chars().take_while(char::is_ascii_digit).count();
        let (count, after) = after.split_at(digits);
        let count: u32 = if count.is_empty() { 1 } else { count.parse().ok()? };
        *elements.entry(symbol.to_owned()).or_insert(0) += count;
        rest = after;
    }
    (!elements.is_empty()).then_some(elements)
}

/// What a species is on a site that should hold another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Host,
    /// One of a pair is missing, whatever the other is.
    Single,
    Substitution,
    Antisite,
}

/// The species of a sheet and the probabilities of its columns.
#[derive(Debug, Clone)]
pub(super) struct Chemistry {
    pub(super) species: Vec<Species>,
    /// `[column, species]`, rows of sum 1.
    pub(super) probabilities: Array2<f64>,
    /// What belongs on sites 0 and 1.
    pub(super) sublattices: [Sublattice; 2],
}

impl Chemistry {
    pub(super) fn of(input: &SheetColumns<'_>) -> Result<Chemistry, DefectError> {
        let species: Vec<Species> = input
            .species
            .iter()
            .map(|name| Species::parse(name).ok_or_else(|| DefectError::UnknownSpecies { species: name.clone() }))
            .collect::<Result<_, _>>()?;
        let (columns, known) = (input.columns.len(), species.len());
        for (column, found) in input.columns.iter().enumerate() {
            if found.species >= known {
                return Err(DefectError::SpeciesOutOfRange { column, species: found.species, known });
            }
        }
        let probabilities = match input.species_probabilities {
            Some(given) => {
                let (found_columns, found_species) = given.dim();
                if (found_columns, found_species) != (columns, known) {
                    return Err(DefectError::ProbabilityShape {
                        found_columns,
                        found_species,
                        columns,
                        species: known,
                    });
                }
                normalised(given.to_owned(), input)?
            }
            None => shared_out(input, &species),
        };
        let mass = |home: Sublattice| -> f64 {
            (0..known).filter(|&at| species[at].home == home).map(|at| probabilities.column(at).sum()).sum()
        };
        let carbon = mass(Sublattice::Carbon);
        let nitride = mass(Sublattice::Boron) + mass(Sublattice::Nitrogen);
        let dichalcogenide = mass(Sublattice::Metal) + mass(Sublattice::Chalcogen);
        let sublattices = if carbon >= nitride && carbon >= dichalcogenide {
            [Sublattice::Carbon; 2]
        } else if nitride >= dichalcogenide {
            [Sublattice::Boron, Sublattice::Nitrogen]
        } else {
            [Sublattice::Metal, Sublattice::Chalcogen]
        };
        Ok(Chemistry { species, probabilities, sublattices })
    }

    /// Whether sites 0 and 1 hold different things.
    pub(super) fn is_polar(&self) -> bool {
        self.sublattices[0] != self.sublattices[1]
    }

    /// Probability that a column belongs on a kind of site.
    pub(super) fn belongs(&self, column: usize, home: Sublattice) -> f64 {
        let row = self.probabilities.row(column);
        self.species.iter().zip(row).filter(|(species, _)| species.home == home).map(|(_, p)| p).sum()
    }

    /// The full species of a kind of site in a crystal: the commonest of as many atoms as there are. Single atoms are
    /// vacancies, unless there is hardly anything else.
    pub(super) fn host(&self, home: Sublattice, columns: &[usize]) -> Option<usize> {
        let mass = |at: usize| -> f64 { columns.iter().map(|&column| self.probabilities[[column, at]]).sum() };
        let of_home = || (0..self.species.len()).filter(|&at| self.species[at].home == home);
        let most = of_home().map(|at| self.species[at].atoms).max()?;
        let total: f64 = of_home().map(mass).sum();
        let full: f64 = of_home().filter(|&at| self.species[at].atoms == most).map(mass).sum();
        let candidates = of_home().filter(|&at| self.species[at].atoms == most || full < 0.05 * total);
        candidates.max_by(|&a, &b| mass(a).total_cmp(&mass(b)).then(b.cmp(&a)))
    }

    fn category(&self, species: usize, host: usize) -> Category {
        let (species, host) = (&self.species[species], &self.species[host]);
        if species.home != host.home {
            if self.sublattices.contains(&species.home) { Category::Antisite } else { Category::Substitution }
        } else if species.atoms < host.atoms {
            Category::Single
        } else if species.is_foreign_to(host) {
            Category::Substitution
        } else {
            Category::Host
        }
    }

    /// Probability that a column on a site of `host` is of a category, and the likeliest species of it.
    pub(super) fn share(&self, column: usize, host: usize, category: Category) -> (f64, Option<usize>) {
        let row = self.probabilities.row(column);
        let of_category = || (0..self.species.len()).filter(|&at| self.category(at, host) == category);
        let likeliest = of_category().max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)));
        (of_category().map(|at| row[at]).sum(), likeliest)
    }

    /// Whether the model knows a species of a category at all, on a site of `host`.
    pub(super) fn knows(&self, category: Category, host: usize) -> bool {
        (0..self.species.len()).any(|at| self.category(at, host) == category)
    }
}

fn normalised(mut table: Array2<f64>, input: &SheetColumns<'_>) -> Result<Array2<f64>, DefectError> {
    for (row, column) in table.outer_iter_mut().zip(input.columns) {
        let mut row = row;
        if let Some(&bad) = row.iter().find(|value| !(0.0..=1.0 + 1e-6).contains(*value)) {
            return Err(DefectError::OutOfRange { what: "a probability of a species", found: bad, expected: "0 to 1" });
        }
        let sum = row.sum();
        if sum > 0.0 {
            row /= sum;
        } else {
            row[column.species] = 1.0;
        }
    }
    Ok(table)
}

/// What a column's likeliest species leaves goes to the others of its sublattice in equal parts, or to all others
/// where it is alone.
fn shared_out(input: &SheetColumns<'_>, species: &[Species]) -> Array2<f64> {
    let mut table = Array2::zeros((input.columns.len(), species.len()));
    for (mut row, column) in table.outer_iter_mut().zip(input.columns) {
        let own = column.species;
        let others = |same: bool| {
            (0..species.len()).filter(move |&at| at != own && (!same || species[at].home == species[own].home))
        };
        let same = others(true).count() > 0;
        let count = others(same).count();
        let probability = column.species_probability.clamp(0.0, 1.0);
        row[own] = if count == 0 { 1.0 } else { probability };
        for other in others(same) {
            row[other] = (1.0 - probability) / count as f64;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_species_are_understood() {
        let homes = |name: &str| Species::parse(name).map(|species| (species.home, species.atoms));
        assert_eq!(homes("C"), Some((Sublattice::Carbon, 1)));
        assert_eq!(homes("Mo"), Some((Sublattice::Metal, 1)));
        assert_eq!(homes("M"), Some((Sublattice::Metal, 1)));
        assert_eq!(homes("S2"), Some((Sublattice::Chalcogen, 2)));
        assert_eq!(homes("SSe"), Some((Sublattice::Chalcogen, 2)));
        assert_eq!(homes("SeTe"), Some((Sublattice::Chalcogen, 2)));
        assert_eq!(homes("X2"), Some((Sublattice::Chalcogen, 2)));
        assert_eq!(homes("X"), Some((Sublattice::Chalcogen, 1)));
        for name in ["", "C2", "Au13", "any", "S3", "Qq", "2S"] {
            assert_eq!(homes(name), None, "{name}");
        }
    }
}
