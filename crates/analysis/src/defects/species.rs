//! Probabilities of species, made those of the image at hand.
//!
//! A detector states probabilities as they are among the images that it was trained on, where every species is as
//! common as the recipes made it. One sheet is another population: in MoS2 no column is tungsten, however much one may look like
//! it. The shares of the species in the image are found from the probabilities themselves by expectation and maximisation
//! (M. Saerens, P. Latinne and C. Decaestecker, *Neural Comput.* 14, 21 (2002), doi:10.1162/089976602753284446):
//!
//! `p'(s | x) = p(s | x) share(s) / trained(s) / sum over species`, `share(s) = mean p'(s | x)`, in turn,
//!
//! within each group of columns that are alike (a sublattice). What is told by more than how common a species is stays: a
//! group of which a fifth looks like another species by chance, as the detector says it does, comes out as one; a group of
//! which a fifth is another keeps it. The shares have a Dirichlet prior worth some columns with the training's
//! shares, so that few columns change little; with it the iteration climbs to the most probable shares.

use std::collections::BTreeMap;

use atomlens_core::DetectedColumn;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{DefectError, DefectSettings, Sheet, SheetColumns, Sublattice};

/// Probabilities of species are not believed to be smaller.
const LEAST_PROBABILITY: f64 = 1e-6;

/// How shares are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShareSettings {
    /// Number of columns that the training's shares are worth.
    pub prior_columns: f64,
    /// The iteration ends when no share changes by more than this.
    pub tolerance: f64,
    /// Or after so many steps.
    pub most_steps: usize,
    /// How likely a column is on a site of the other kind, against the detector's word.
    pub antisite_odds: f64,
}

impl Default for ShareSettings {
    fn default() -> Self {
        ShareSettings { prior_columns: 1.0, tolerance: 1e-7, most_steps: 2000, antisite_odds: 1e-3 }
    }
}

/// Probabilities with the shares that they belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct RefinedSpecies {
    /// `[column, species]`, rows of sum 1.
    pub probabilities: Array2<f64>,
    /// Share of each species in each group, `[group, species]`.
    pub shares: Array2<f64>,
    /// Whether every group came to rest.
    pub converged: bool,
}

/// Why probabilities cannot be refined.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SpeciesError {
    /// Lengths do not fit.
    #[error(
        "{columns} columns of {species} species, but {groups} groups and {trained} shares of the training: expected a group for every column, a share for every species"
    )]
    Shape {
        /// Rows of the table.
        columns: usize,
        /// Its columns.
        species: usize,
        /// Groups given.
        groups: usize,
        /// Shares given.
        trained: usize,
    },
    /// A number is no probability.
    #[error("{what} is {found}, expected {expected}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: f64,
        /// What would do.
        expected: &'static str,
    },
    /// The sheet has no lattice to tell the groups from.
    #[error("the kinds of site are not known")]
    Sites(#[from] DefectError),
}

/// Probabilities of species as they are in the image, from those of the detector.
///
/// `probabilities` is `[column, species]`, `trained_shares` how common each species was among the columns that the detector was
/// trained on, `groups` the group of each column, from 0.
///
/// # Errors
/// [`SpeciesError`] for lengths that do not fit and numbers that are no probabilities. A species that the training had
/// not (share 0) stays as it is: it gets no probability.
pub fn refine_species(
    probabilities: ArrayView2<'_, f64>,
    trained_shares: &[f64],
    groups: &[usize],
    settings: &ShareSettings,
) -> Result<RefinedSpecies, SpeciesError> {
    refine_free(probabilities, trained_shares, groups, |_| true, settings)
}

/// [`refine_species`] with the shares of some species held at the training's.
fn refine_free(
    probabilities: ArrayView2<'_, f64>,
    trained_shares: &[f64],
    groups: &[usize],
    is_free: impl Fn(usize) -> bool,
    settings: &ShareSettings,
) -> Result<RefinedSpecies, SpeciesError> {
    let (columns, species) = probabilities.dim();
    if groups.len() != columns || trained_shares.len() != species {
        return Err(SpeciesError::Shape { columns, species, groups: groups.len(), trained: trained_shares.len() });
    }
    let in_range = |what, found: f64, expected| {
        if (0.0..=1.0 + 1e-6).contains(&found) {
            Ok(())
        } else {
            Err(SpeciesError::OutOfRange { what, found, expected })
        }
    };
    probabilities.iter().try_for_each(|&found| in_range("a probability of a species", found, "0 to 1"))?;
    trained_shares.iter().try_for_each(|&found| in_range("a share of the training", found, "0 to 1"))?;
    let total: f64 = trained_shares.iter().sum();
    if total <= 0.0 {
        let what = "the sum of the training's shares";
        return Err(SpeciesError::OutOfRange { what, found: total, expected: "more than 0" });
    }
    let trained: Vec<f64> = trained_shares.iter().map(|share| share / total).collect();
    let count = groups.iter().max().map_or(0, |last| last + 1);
    let mut refined = probabilities.to_owned();
    let mut shares = Array2::zeros((count, species));
    let mut converged = true;
    for group in 0..count {
        let members: Vec<usize> = (0..columns).filter(|&column| groups[column] == group).collect();
        let mut share = trained.clone();
        let mut at_rest = false;
        for _ in 0..settings.most_steps.max(1) {
            let mut sums: Vec<f64> = trained.iter().map(|share| settings.prior_columns * share).collect();
            for &column in &members {
                let row = under(probabilities.row(column).iter().copied(), &share, &trained);
                sums.iter_mut().zip(&row).for_each(|(sum, p)| *sum += p);
                refined.row_mut(column).iter_mut().zip(row).for_each(|(to, p)| *to = p);
            }
            let free = |of: &[f64]| -> f64 { (0..species).filter(|&at| is_free(at)).map(|at| of[at]).sum() };
            let (all, left) = (free(&sums), free(&trained));
            let next = |at: usize| if is_free(at) && all > 0.0 { left * sums[at] / all } else { share[at] };
            let next: Vec<f64> = (0..species).map(next).collect();
            let change = share.iter().zip(&next).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            share = next;
            if change < settings.tolerance {
                at_rest = true;
                break;
            }
        }
        converged &= at_rest;
        shares.row_mut(group).iter_mut().zip(share).for_each(|(to, share)| *to = share);
    }
    Ok(RefinedSpecies { probabilities: refined, shares, converged })
}

/// One column's probabilities with other shares than the training's.
fn under(row: impl Iterator<Item = f64> + Clone, share: &[f64], trained: &[f64]) -> Vec<f64> {
    let weighed = row.clone().zip(share.iter().zip(trained));
    let weighed: Vec<f64> =
        weighed.map(|(p, (share, trained))| if *trained > 0.0 { p * share / trained } else { 0.0 }).collect();
    let sum: f64 = weighed.iter().sum();
    // A column that fits nothing the group has keeps what it had.
    if sum > 0.0 { weighed.into_iter().map(|p| p / sum).collect() } else { row.collect() }
}

/// The site that a column of a sheet is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ColumnSite {
    /// The crystal, the largest being 0, as [`super::SheetSummary::crystals`] has them.
    pub crystal: usize,
    /// What belongs on the site.
    pub sublattice: Sublattice,
}

/// What the columns of a sheet are, given the sites that they are on.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetSpecies {
    /// `[column, species]`, rows of sum 1.
    pub probabilities: Array2<f64>,
    /// The likeliest species of each column.
    pub species: Vec<usize>,
    /// Where each column is; none off the lattice, where the detector's own probabilities stay.
    pub sites: Vec<Option<ColumnSite>>,
    /// Crystal, kind of site, and the share of each species on it.
    pub shares: Vec<(ColumnSite, Vec<f64>)>,
    /// Whether all shares came to rest.
    pub converged: bool,
}

impl SheetSpecies {
    /// The columns with their likeliest species and its probability.
    ///
    /// # Panics
    /// If they are others than those it was made of.
    pub fn apply(&self, columns: &mut [DetectedColumn]) {
        assert_eq!(columns.len(), self.species.len(), "the columns that the sheet was made of");
        for (number, column) in columns.iter_mut().enumerate() {
            column.species = self.species[number];
            column.species_probability = self.probabilities[[number, self.species[number]]];
        }
    }
}

/// What the columns of a sheet are. Bonds and crystals know no species: they tell columns of two kinds apart by their
/// places. Which kind is metal (or boron) is decided by all columns of a crystal together; then each column's
/// probabilities are weighed by what belongs on its site, others being [`ShareSettings::antisite_odds`] as likely as the
/// detector says, and refined by the shares of the species on that kind of site ([`refine_species`]).
///
/// `trained_shares` is how common each species was among the columns that the detector was trained on.
///
/// # Errors
/// Those of [`refine_species`], and [`DefectError`] where the columns are no sheet's.
pub fn refine_sheet(
    input: &SheetColumns<'_>,
    trained_shares: &[f64],
    defects: &DefectSettings,
    settings: &ShareSettings,
) -> Result<SheetSpecies, SpeciesError> {
    let (columns, species) = (input.columns.len(), input.species.len());
    if trained_shares.len() != species {
        return Err(SpeciesError::Shape { columns, species, groups: columns, trained: trained_shares.len() });
    }
    let sheet = Sheet::of(input, defects)?;
    let mut sites: Vec<Option<ColumnSite>> = vec![None; columns];
    let mut members: BTreeMap<(usize, Sublattice), Vec<usize>> = BTreeMap::new();
    for (column, place) in sheet.survey.site_of_columns(columns).into_iter().enumerate() {
        let Some((crystal, index)) = place else { continue };
        let sublattice = sheet.chemistry.sublattices[index[2] as usize];
        sites[column] = Some(ColumnSite { crystal, sublattice });
        members.entry((crystal, sublattice)).or_default().push(column);
    }
    let mut probabilities = sheet.chemistry.probabilities.clone();
    let (mut shares, mut converged) = (Vec::new(), true);
    for ((crystal, sublattice), of_site) in members {
        let weight = |at: usize| {
            if sheet.chemistry.species[at].home == sublattice { 1.0 } else { settings.antisite_odds }
        };
        let mut table = probabilities.select(Axis(0), &of_site);
        for mut row in table.outer_iter_mut() {
            // A probability of exactly zero is what rounding left of a small one.
            row.iter_mut().enumerate().for_each(|(at, p)| *p = p.max(LEAST_PROBABILITY) * weight(at));
            let sum = row.sum();
            if sum > 0.0 {
                row /= sum;
            }
        }
        let trained: Vec<f64> = trained_shares.iter().enumerate().map(|(at, share)| share * weight(at)).collect();
        // How common antisites are is not asked of an image: where species are hard to tell they would become common.
        let of_home = |at: usize| sheet.chemistry.species[at].home == sublattice;
        let refined = refine_free(table.view(), &trained, &vec![0; of_site.len()], of_home, settings)?;
        for (row, &column) in refined.probabilities.outer_iter().zip(&of_site) {
            probabilities.row_mut(column).assign(&row);
        }
        shares.push((ColumnSite { crystal, sublattice }, refined.shares.row(0).to_vec()));
        converged &= refined.converged;
    }
    let likeliest = |row: ArrayView1<'_, f64>| {
        let best = (0..species).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)));
        best.expect("columns have species")
    };
    let species = probabilities.outer_iter().map(likeliest).collect();
    Ok(SheetSpecies { probabilities, species, sites, shares, converged })
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand::RngExt;
    use rand_distr::{Distribution, Normal};

    use super::*;

    /// Columns of two species whose measured value has mean 0 or `apart` and standard deviation 1, `share` of them
    /// of the second: what a detector trained on equal shares says, and the truth.
    fn measured(count: usize, share: f64, apart: f64, seed: u64) -> (Array2<f64>, Vec<f64>, Vec<bool>) {
        let mut random = SeedPath::new(seed).stream();
        let normal = Normal::new(0.0, 1.0).unwrap();
        let (mut table, mut values, mut truth) = (Array2::zeros((count, 2)), Vec::new(), Vec::new());
        for column in 0..count {
            let second = random.random::<f64>() < share;
            let value = normal.sample(&mut random) + if second { apart } else { 0.0 };
            let p = 1.0 / (1.0 + (-apart * (value - 0.5 * apart)).exp());
            table[[column, 0]] = 1.0 - p;
            table[[column, 1]] = p;
            values.push(value);
            truth.push(second);
        }
        (table, values, truth)
    }

    #[test]
    fn a_pure_sheet_comes_out_pure() {
        // 1.7 standard deviations apart: a fifth of the molybdenum looks like tungsten.
        let (table, ..) = measured(400, 0.0, 1.7, 1);
        let looks = table.column(1).iter().filter(|p| **p > 0.5).count();
        assert!((60..100).contains(&looks), "{looks}");
        let refined = refine_species(table.view(), &[0.5, 0.5], &[0; 400], &ShareSettings::default()).unwrap();
        let called = refined.probabilities.column(1).iter().filter(|p| **p > 0.5).count();
        assert!(refined.converged && called <= 4 && refined.shares[[0, 1]] < 0.05, "{called} {}", refined.shares);
    }

    #[test]
    fn true_shares_are_found_and_probabilities_are_those_of_bayes() {
        let (table, values, truth) = measured(4000, 0.2, 2.0, 2);
        let refined = refine_species(table.view(), &[0.5, 0.5], &[0; 4000], &ShareSettings::default()).unwrap();
        let share = truth.iter().filter(|second| **second).count() as f64 / 4000.0;
        assert!((refined.shares[[0, 1]] - share).abs() < 0.02, "{} {share}", refined.shares);
        for (value, p) in values.iter().zip(refined.probabilities.column(1)) {
            let odds = share / (1.0 - share) * (2.0 * (value - 1.0)).exp();
            assert!((p - odds / (1.0 + odds)).abs() < 0.03, "{value} {p}");
        }
    }

    #[test]
    fn groups_are_apart_and_few_columns_change_little() {
        let (pure, ..) = measured(300, 0.0, 2.0, 3);
        let (mixed, _, truth) = measured(300, 0.5, 2.0, 4);
        let mut table = Array2::zeros((600, 2));
        table.slice_mut(ndarray::s![..300, ..]).assign(&pure);
        table.slice_mut(ndarray::s![300.., ..]).assign(&mixed);
        let groups: Vec<usize> = (0..600).map(|column| column / 300).collect();
        let refined = refine_species(table.view(), &[0.5, 0.5], &groups, &ShareSettings::default()).unwrap();
        let share = truth.iter().filter(|second| **second).count() as f64 / 300.0;
        assert!(refined.shares[[0, 1]] < 0.05 && (refined.shares[[1, 1]] - share).abs() < 0.06, "{}", refined.shares);

        let few = ndarray::array![[0.3, 0.7], [0.6, 0.4]];
        let refined = refine_species(few.view(), &[0.5, 0.5], &[0, 0], &ShareSettings::default()).unwrap();
        assert!((refined.probabilities[[0, 1]] - 0.7).abs() < 0.1, "{}", refined.probabilities);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let table = ndarray::array![[0.3, 0.7]];
        let refine = |trained: &[f64], groups: &[usize]| {
            refine_species(table.view(), trained, groups, &ShareSettings::default())
        };
        assert!(matches!(refine(&[1.0], &[0]), Err(SpeciesError::Shape { trained: 1, .. })));
        assert!(matches!(refine(&[0.5, 0.5], &[]), Err(SpeciesError::Shape { groups: 0, .. })));
        assert!(matches!(refine(&[0.0, 0.0], &[0]), Err(SpeciesError::OutOfRange { .. })));
        assert!(matches!(refine(&[f64::NAN, 0.5], &[0]), Err(SpeciesError::OutOfRange { .. })));
        // A species that was never trained on gets nothing.
        assert_eq!(refine(&[0.0, 1.0], &[0]).unwrap().probabilities[[0, 0]], 0.0);
    }
}
