//! What is found of a sheet: sites, rings, defects, edges, grain boundaries, and their numbers.
//!
//! Lengths are in angstrom, areas and densities in nm^2, angles in radian, measured from x towards y (rows of an image
//! run downwards, so such an angle turns clockwise on the screen). Indices count from 0, into the list that is named.

use serde::{Deserialize, Serialize};

/// Which of the two interleaved lattices of a honeycomb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sublattice {
    /// Carbon: both sublattices are alike.
    Carbon,
    /// Boron in hBN.
    Boron,
    /// Nitrogen in hBN.
    Nitrogen,
    /// The metal M of MX2.
    Metal,
    /// The pairs of chalcogens X of MX2.
    Chalcogen,
}

/// Where in the sheet something lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// Inside: its place and all that is bonded to it belong to the sheet and to the field of view. Only this counts.
    Interior,
    /// At an edge of the sheet, at a hole or at a grain boundary, where a site more or less is no point defect.
    Edge,
    /// So near the border of the field of view that not all around it is seen.
    Border,
}

/// What a defect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefectKind {
    /// One of the two chalcogens of a column is missing.
    ChalcogenVacancy,
    /// A chalcogen site without a column: both are missing.
    DoubleChalcogenVacancy,
    /// A metal site without a column.
    MetalVacancy,
    /// A carbon site without a column.
    CarbonVacancy,
    /// A boron site without a column.
    BoronVacancy,
    /// A nitrogen site without a column.
    NitrogenVacancy,
    /// Two or more bonded sites without columns.
    VacancyCluster,
    /// Another element than the crystal's on a site of its kind: W for Mo, Se for S.
    Substitution,
    /// Metal on a chalcogen site or the reverse; boron for nitrogen or the reverse.
    Antisite,
    /// A column within a crystal that is on none of its sites.
    OffSite,
    /// A bond turned by 90 degrees: two pentagons and two heptagons (55-77).
    StoneWales,
    /// A pentagon beside a heptagon: the core of a dislocation.
    PentagonHeptagon,
    /// An octagon between two pentagons: two neighbouring vacancies, closed again (5-8-5).
    PentagonOctagonPentagon,
    /// A ring of four beside a ring of eight.
    SquareOctagon,
    /// A ring of four alone.
    Square,
    /// A ring of five alone.
    Pentagon,
    /// A ring of seven alone.
    Heptagon,
    /// A ring of eight alone.
    Octagon,
}

impl DefectKind {
    /// Every kind, in the order of tables.
    pub const ALL: [DefectKind; 18] = [
        DefectKind::ChalcogenVacancy,
        DefectKind::DoubleChalcogenVacancy,
        DefectKind::MetalVacancy,
        DefectKind::CarbonVacancy,
        DefectKind::BoronVacancy,
        DefectKind::NitrogenVacancy,
        DefectKind::VacancyCluster,
        DefectKind::Substitution,
        DefectKind::Antisite,
        DefectKind::OffSite,
        DefectKind::StoneWales,
        DefectKind::PentagonHeptagon,
        DefectKind::PentagonOctagonPentagon,
        DefectKind::SquareOctagon,
        DefectKind::Square,
        DefectKind::Pentagon,
        DefectKind::Heptagon,
        DefectKind::Octagon,
    ];

    /// The name in files, as serde writes it.
    pub fn name(self) -> &'static str {
        match self {
            DefectKind::ChalcogenVacancy => "chalcogen_vacancy",
            DefectKind::DoubleChalcogenVacancy => "double_chalcogen_vacancy",
            DefectKind::MetalVacancy => "metal_vacancy",
            DefectKind::CarbonVacancy => "carbon_vacancy",
            DefectKind::BoronVacancy => "boron_vacancy",
            DefectKind::NitrogenVacancy => "nitrogen_vacancy",
            DefectKind::VacancyCluster => "vacancy_cluster",
            DefectKind::Substitution => "substitution",
            DefectKind::Antisite => "antisite",
            DefectKind::OffSite => "off_site",
            DefectKind::StoneWales => "stone_wales",
            DefectKind::PentagonHeptagon => "pentagon_heptagon",
            DefectKind::PentagonOctagonPentagon => "pentagon_octagon_pentagon",
            DefectKind::SquareOctagon => "square_octagon",
            DefectKind::Square => "square",
            DefectKind::Pentagon => "pentagon",
            DefectKind::Heptagon => "heptagon",
            DefectKind::Octagon => "octagon",
        }
    }

    /// The name for people.
    pub fn label(self) -> &'static str {
        match self {
            DefectKind::ChalcogenVacancy => "single chalcogen vacancy",
            DefectKind::DoubleChalcogenVacancy => "double chalcogen vacancy",
            DefectKind::MetalVacancy => "metal vacancy",
            DefectKind::CarbonVacancy => "carbon vacancy",
            DefectKind::BoronVacancy => "boron vacancy",
            DefectKind::NitrogenVacancy => "nitrogen vacancy",
            DefectKind::VacancyCluster => "vacancy cluster",
            DefectKind::Substitution => "substitution",
            DefectKind::Antisite => "antisite",
            DefectKind::OffSite => "column off site",
            DefectKind::StoneWales => "Stone-Wales (55-77)",
            DefectKind::PentagonHeptagon => "dislocation (5-7)",
            DefectKind::PentagonOctagonPentagon => "closed divacancy (5-8-5)",
            DefectKind::SquareOctagon => "ring pair 4-8",
            DefectKind::Square => "ring of four",
            DefectKind::Pentagon => "ring of five",
            DefectKind::Heptagon => "ring of seven",
            DefectKind::Octagon => "ring of eight",
        }
    }
}

/// A defect of the sheet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Defect {
    /// What it is.
    pub kind: DefectKind,
    /// Its place along x, from the centre of the image's first pixel.
    pub x_angstrom: f64,
    /// Its place along y.
    pub y_angstrom: f64,
    /// Probability that it is what is said.
    pub probability: f64,
    /// Where it lies; only those inside are counted.
    pub region: Region,
    /// The crystal that it lies in, into [`SheetSummary::crystals`]; none for rings between crystals.
    pub crystal: Option<usize>,
    /// The columns that make it up, into the list of columns, ascending: one that is another species, all around a ring,
    /// those bonded to an empty site.
    pub members: Vec<usize>,
    /// The empty sites that it is made of, into [`SheetDefects::sites`], ascending.
    pub empty_sites: Vec<usize>,
    /// The species that is found, into the list of species, where the defect is one of species.
    pub species: Option<usize>,
    /// The species that the crystal has there, into the list of species, where the model knows it.
    pub expected_species: Option<usize>,
    /// Direction: of the turned bond (Stone-Wales, modulo pi), from the heptagon to the pentagon (5-7), of the long axis
    /// (clusters of vacancies, 5-8-5; modulo pi).
    pub angle_rad: Option<f64>,
    /// Distance between the outermost empty sites of a cluster.
    pub length_angstrom: Option<f64>,
}

/// A site of the lattice, with its column or without.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Site {
    /// Where the column is; for an empty site, where the lattice around says that it should be.
    pub x_angstrom: f64,
    /// The same along y.
    pub y_angstrom: f64,
    /// The crystal, into [`SheetSummary::crystals`].
    pub crystal: usize,
    /// Number of the unit cell and of the site in it (0 or 1) on the crystal's own lattice.
    pub index: [i32; 3],
    /// What should be here.
    pub sublattice: Sublattice,
    /// The column that is here, into the list of columns.
    pub column: Option<usize>,
    /// Where in the sheet the site lies.
    pub region: Region,
    /// Probability that there is no column: 0 to 1 for an empty site; what the column's own probability leaves otherwise.
    pub empty_probability: f64,
}

/// A ring of bonds: a face of the planar graph that is no outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ring {
    /// Its columns in order around, starting with the smallest index.
    pub columns: Vec<usize>,
    /// Mean of its columns' places.
    pub x_angstrom: f64,
    /// The same along y.
    pub y_angstrom: f64,
    /// Its area.
    pub area_nm2: f64,
    /// Product of its columns' probabilities and of the probabilities that no column is missed in it.
    pub probability: f64,
}

/// How an edge runs, and what is outermost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// Along a row of one kind of site: all outermost sites are of one sublattice.
    Zigzag,
    /// Perpendicular to a row of bonds: both sublattices in turn.
    Armchair,
    /// Neither over two steps of the lattice: corners and rough pieces.
    Mixed,
}

/// A straight piece of the edge of a crystal, towards vacuum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    /// How it runs.
    pub kind: EdgeKind,
    /// What is outermost, on zigzag edges of crystals of two kinds of site.
    pub termination: Option<Sublattice>,
    /// Its crystal.
    pub crystal: usize,
    /// Whether it is the edge of a hole.
    pub hole: bool,
    /// First end, x and y.
    pub start_angstrom: [f64; 2],
    /// Last end, x and y. The sheet lies on the left of the way from start to end, seen on axes with y upwards.
    pub end_angstrom: [f64; 2],
    /// Length along the edge.
    pub length_nm: f64,
    /// Direction from start to end, of straight pieces that of the crystal's lattice.
    pub direction_rad: f64,
    /// The columns that have lost bonds on it, in order.
    pub columns: Vec<usize>,
}

/// The boundary between two crystals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Boundary {
    /// The two crystals, ascending.
    pub crystals: [usize; 2],
    /// Smallest turn that takes one lattice to the other: 0 to 30 degrees where both sublattices are alike, else 0 to
    /// 60 degrees.
    pub misorientation_rad: f64,
    /// Its standard deviation.
    pub misorientation_sigma_rad: f64,
    /// Its length.
    pub length_nm: f64,
    /// Whether the two are one lattice with sublattices exchanged (inversion domains, mirror twins).
    pub inversion: bool,
    /// Pairs of pentagon and heptagon along it.
    pub dislocations: usize,
    /// The columns along it, ascending.
    pub columns: Vec<usize>,
    /// Points along it, x and y, for drawing; in order along its longest extent.
    pub path_angstrom: Vec<[f64; 2]>,
}

/// A crystal of the sheet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crystal {
    /// Number of its sites that have a column.
    pub columns: usize,
    /// Direction of a lattice vector, in -30 to 30 degrees where both sublattices are alike, in -60 to 60 degrees else
    /// (lattice vector chosen such that a metal or boron site has a bond 30 degrees from it).
    pub orientation_rad: f64,
    /// Its standard deviation.
    pub orientation_sigma_rad: f64,
    /// Lattice constant: mean over the crystal and both directions.
    pub lattice_angstrom: f64,
    /// Its standard deviation, from the scatter of the columns; what the pixel size is off comes on top.
    pub lattice_sigma_angstrom: f64,
    /// Root mean square distance of the columns from the sites along one direction.
    pub scatter_angstrom: f64,
    /// Likeliest full species of each sublattice, into the list of species: sublattice, species.
    pub hosts: Vec<(Sublattice, usize)>,
}

/// How many defects of a kind there are. Intervals are of 95 %.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindCount {
    /// Which kind.
    pub kind: DefectKind,
    /// Number of listed defects inside the sheet.
    pub count: usize,
    /// Sum of the probabilities of all that could be one, listed or not.
    pub expected: f64,
    /// Standard deviation of the number that are there, given the probabilities.
    pub expected_sigma: f64,
    /// The area in which one could have been seen.
    pub area_nm2: f64,
    /// `expected` per area.
    pub per_nm2: f64,
    /// Lower end of the interval.
    pub per_nm2_low: f64,
    /// Upper end of the interval.
    pub per_nm2_high: f64,
    /// Number of sites that could have had one; none for rings.
    pub sites: Option<usize>,
    /// `expected` per site.
    pub fraction: Option<f64>,
    /// Its interval, low and high.
    pub fraction_interval: Option<[f64; 2]>,
}

/// The length of the edges of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeLength {
    /// How they run.
    pub kind: EdgeKind,
    /// What is outermost.
    pub termination: Option<Sublattice>,
    /// Length of all of them together.
    pub length_nm: f64,
    /// Number of pieces.
    pub pieces: usize,
}

/// The numbers of a sheet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SheetSummary {
    /// Area within the outermost bonds, holes left out.
    pub area_nm2: f64,
    /// Number of columns.
    pub columns: usize,
    /// Number of sites of the lattice in the sheet, with a column or without.
    pub sites: usize,
    /// Of these the number inside, which counts.
    pub interior_sites: usize,
    /// Length of a bond in the image, from the neighbours' distances.
    pub bond_angstrom: f64,
    /// The crystals, largest first.
    pub crystals: Vec<Crystal>,
    /// Numbers by kind, in the order of [`DefectKind::ALL`]: those that the sheet could have, found or not.
    pub counts: Vec<KindCount>,
    /// Number of rings by their size, ascending: size and number.
    pub rings: Vec<(usize, usize)>,
    /// Length of edges by kind and termination.
    pub edges: Vec<EdgeLength>,
}

/// All that is found of a sheet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SheetDefects {
    /// The numbers.
    pub summary: SheetSummary,
    /// The defects, by kind, then by y, then by x.
    pub defects: Vec<Defect>,
    /// The edges, by crystal, in order along the edge.
    pub edges: Vec<Edge>,
    /// The grain boundaries.
    pub boundaries: Vec<Boundary>,
    /// The sites, by crystal and index.
    pub sites: Vec<Site>,
    /// Bonds: pairs of columns, ascending.
    pub bonds: Vec<[usize; 2]>,
    /// The rings.
    pub rings: Vec<Ring>,
}
