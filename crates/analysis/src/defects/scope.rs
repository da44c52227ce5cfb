//! Which defects a sheet could have, in what area and on how many sites one could have been seen.

use std::collections::BTreeMap;

use super::chemistry::{Category, Chemistry};
use super::crystals::Lattice;
use super::{Defect, DefectKind, KindCount, Region, Site, Sublattice, counts, kinds};

/// A sheet, as far as it can be counted in.
pub(super) struct Scope<'a> {
    pub(super) lattices: &'a [Lattice],
    pub(super) chemistry: &'a Chemistry,
    pub(super) hosts: &'a [[Option<usize>; 2]],
    pub(super) sites: &'a [Site],
    /// Area of rings and gaps.
    pub(super) area_nm2: f64,
}

impl Scope<'_> {
    /// Numbers of all kinds that there could be, of defects given with their probabilities, however small.
    pub(super) fn counts(&self, defects: &[Defect], threshold: f64) -> Vec<KindCount> {
        let mut probabilities: BTreeMap<DefectKind, Vec<f64>> = BTreeMap::new();
        for defect in defects.iter().filter(|defect| defect.region == Region::Interior) {
            probabilities.entry(defect.kind).or_default().push(defect.probability);
        }
        let nothing = Vec::new();
        DefectKind::ALL
            .into_iter()
            .filter_map(|kind| {
                let (area_nm2, sites) = self.where_seen(kind)?;
                let of_kind = probabilities.get(&kind).unwrap_or(&nothing);
                let listed = of_kind.iter().filter(|&&probability| probability >= threshold).count();
                Some(counts::count(kind, listed, of_kind, area_nm2, sites))
            })
            .collect()
    }

    /// Area and number of sites on which a kind could have been seen; none if the sheet cannot have it.
    fn where_seen(&self, kind: DefectKind) -> Option<(f64, Option<usize>)> {
        let sublattices = self.chemistry.sublattices;
        let on = |take: &dyn Fn(Sublattice) -> bool| {
            let sites = || self.sites.iter().filter(|site| site.region == Region::Interior && take(site.sublattice));
            // Every cell has both sites, so the area is that of all cells of which one of this kind is counted.
            let cells = sublattices.iter().filter(|&&sublattice| take(sublattice)).count().max(1) as f64;
            let area = |site: &Site| self.lattices[site.crystal].area_per_site_nm2() * 2.0 / cells;
            (sites().map(area).sum(), Some(sites().count()))
        };
        let known = |category: Category, home: Option<Sublattice>| {
            let hosts = self.hosts.iter().flatten().flatten();
            let mut of_home = hosts.filter(|&&host| home.is_none_or(|home| self.chemistry.species[host].home == home));
            of_home.any(|&host| self.chemistry.knows(category, host))
        };
        let vacancy = sublattices.into_iter().find(|&sublattice| kinds::vacancy(sublattice) == kind);
        match kind {
            DefectKind::ChalcogenVacancy => known(Category::Single, Some(Sublattice::Chalcogen))
                .then(|| on(&|sublattice| sublattice == Sublattice::Chalcogen)),
            DefectKind::DoubleChalcogenVacancy
            | DefectKind::MetalVacancy
            | DefectKind::CarbonVacancy
            | DefectKind::BoronVacancy
            | DefectKind::NitrogenVacancy => vacancy.map(|own| on(&|sublattice| sublattice == own)),
            DefectKind::VacancyCluster => Some((on(&|_| true).0, None)),
            DefectKind::Substitution => known(Category::Substitution, None).then(|| on(&|_| true)),
            DefectKind::Antisite => known(Category::Antisite, None).then(|| on(&|_| true)),
            _ => Some((self.area_nm2, None)),
        }
    }
}
