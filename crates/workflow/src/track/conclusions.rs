//! What can and what cannot be concluded from a movie, in sentences that say why.

use atomlens_analysis::movie::occupancy::Estimate;
use atomlens_analysis::movie::sites::SiteClass;

use super::analysis::Analysis;
use super::summary::{self, HalvesSummary, MovieSummary};
use crate::twin::TwinCheck;

/// Below this area under the curve single frames say little of a site.
const WEAK_SEPARATION: f64 = 0.97;

/// Below this bias by simulated movies, in percent, rates are right.
const SMALL_BIAS: f64 = 10.0;

/// Classes of fewer expected switches are not compared in words.
const FEW_SWITCHES: f64 = 5.0;

/// Sentences.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conclusions {
    pub(super) can: Vec<String>,
    pub(super) cannot: Vec<String>,
}

impl Conclusions {
    pub(super) fn of(analysis: &Analysis, summary: &MovieSummary, twin: Option<&TwinCheck>) -> Conclusions {
        let mut all = Conclusions::default();
        all.switching_sites(analysis);
        all.classes(analysis);
        all.halves(summary);
        all.naive(summary);
        all.hops(summary);
        all.limits(analysis, summary);
        all.twin(twin);
        all
    }

    fn switching_sites(&mut self, analysis: &Analysis) {
        let surely =
            |low: f64| analysis.occupancy.sites.iter().filter(|site| site.switching.switches.low >= low).count();
        let (ever, all) = (surely(1.0), analysis.sites.len());
        self.can.push(match ever {
            0 => format!("No site is seen to switch beyond doubt ({all} sites)."),
            1 => format!("1 of {all} sites switches at least once, with a probability of 97.5 % or more."),
            _ => format!("{ever} of {all} sites switch at least once, each with a probability of 97.5 % or more."),
        });
    }

    fn classes(&mut self, analysis: &Analysis) {
        let mut of_class: Vec<(SiteClass, Vec<usize>)> =
            SiteClass::ALL.iter().map(|class| (*class, summary::members(analysis, *class))).collect();
        of_class.retain(|(_, members)| !members.is_empty());
        let switches = |members: &[usize]| analysis.occupancy.together(members).map_or(0.0, |all| all.switches.value);
        for (at, (class, members)) in of_class.iter().enumerate() {
            for (other, others) in &of_class[..at] {
                let Some(Estimate { value, low, high }) = analysis.occupancy.ratio(members, others) else { continue };
                let (class, other) = (class.name(), other.name());
                if (low > 1.0 || high < 1.0) && high < 100.0 {
                    self.can.push(format!(
                        "A site of class {class} switches {value:.1} times as often as one of class {other} [{low:.1}, {high:.1}]."
                    ));
                } else if switches(members) >= FEW_SWITCHES && switches(others) >= FEW_SWITCHES {
                    self.cannot.push(format!(
                        "Whether sites of class {class} switch more or less often than those of class {other}: the ratio is \
                         {value:.1} [{low:.1}, {high:.1}]."
                    ));
                }
            }
        }
        if of_class.iter().filter(|(_, members)| switches(members) >= FEW_SWITCHES).count() < 2 && of_class.len() > 1 {
            self.cannot.push("Whether classes of sites differ: too few switches are seen.".to_owned());
        }
    }

    fn halves(&mut self, movie: &MovieSummary) {
        for HalvesSummary { half, other_half, sites, other_sites, ratio } in &movie.halves {
            let [value, low, high] = [ratio.value, ratio.low, ratio.high];
            if low > 1.0 || high < 1.0 {
                self.can.push(format!(
                    "Of the sites that switch, those of the {half} half ({sites}) switch {value:.1} times as often as those of the \
                     {other_half} half ({other_sites}) [{low:.1}, {high:.1}]."
                ));
            }
        }
    }

    fn naive(&mut self, summary: &MovieSummary) {
        let (found, naive) = (summary.total.switches, summary.total.naive_switches as f64);
        if found.value > summary::SWITCHES && naive > 2.0 * found.high {
            self.can.push(format!(
                "Counting what the detector sees from frame to frame gives {naive:.0} switches, {:.1} times as many as there are: the \
                 rest are columns that were missed and false ones.",
                naive / found.value
            ));
        }
    }

    fn hops(&mut self, summary: &MovieSummary) {
        let (found, chance) = (summary.hops as f64, summary.hops_by_chance);
        if found < 1.0 {
            return;
        }
        // Poisson: as many by chance in 2.5 % of the cases.
        let beyond_chance = found > chance + 2.0 * chance.max(1.0).sqrt();
        if beyond_chance {
            self.can.push(format!(
                "{found:.0} losses go with a gain at the site beside within a frame, where chance gives {chance:.1}: atoms hop from \
                 site to site."
            ));
        } else {
            self.cannot.push(format!(
                "Whether atoms hop from site to site: {found:.0} losses go with a gain at the site beside, and chance alone gives \
                 {chance:.1}."
            ));
        }
    }

    fn limits(&mut self, analysis: &Analysis, summary: &MovieSummary) {
        let fastest =
            analysis.occupancy.sites.iter().map(|site| site.switching.switch_per_frame.value).fold(0.0, f64::max);
        self.cannot.push(
            "What happens between two frames: a site that is emptied and filled again within one leaves no event. The rates allow \
             for it, as far as sites switch at random times."
                .to_owned(),
        );
        if fastest > 0.3 {
            self.cannot.push(format!(
                "How fast the fastest sites are: they switch {fastest:.2} times a frame, so that most of their visits are shorter than \
                 one."
            ));
        }
        if summary.detector.separation < WEAK_SEPARATION {
            self.cannot.push(format!(
                "In which frame exactly an event happened: a frame alone tells filled from empty with an area under the curve of \
                 {:.2} (1 is always), so that visits of one or two frames are missed.",
                summary.detector.separation
            ));
        }
        if summary.frame_time_s.is_none() {
            self.cannot.push(
                "Rates per second: the time between frames is not known; give it with --frame-time-s.".to_owned(),
            );
        }
        self.cannot.push(
            "How many atoms come and go: a site counts as filled when a column is seen there, however many atoms it has."
                .to_owned(),
        );
        self.cannot.push(
            "What drives the events, beam, gas or temperature: that takes movies under both conditions, and `atomlens compare`. The \
             intervals are those of these sites in this movie; another particle may differ by more."
                .to_owned(),
        );
    }

    fn twin(&mut self, twin: Option<&TwinCheck>) {
        let Some(twin) = twin else {
            self.cannot.push(
                "How far the analysis itself is off: no simulated movies were made (`atomlens twin`).".to_owned(),
            );
            return;
        };
        let Some(row) = twin.rows.iter().find(|row| row.quantity == crate::twin::RATE_BIAS) else { return };
        if row.value.abs() > SMALL_BIAS {
            let way = if row.value < 0.0 { "too few" } else { "too many" };
            self.cannot.push(format!(
                "The number of switches as it stands: in simulated movies like this one the analysis finds {:.0} % {way}.",
                row.value.abs()
            ));
        } else {
            self.can.push(format!(
                "In simulated movies like this one the number of switches comes out {:+.0} % off, which is what to expect here.",
                row.value
            ));
        }
    }
}
