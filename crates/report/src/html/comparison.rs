//! The report of a comparison of movies: a paragraph that can be quoted, rates by class with their differences and
//! ratios, and maps on one scale.

use std::path::Path;

use askama::Template;

use super::detection::Warning;
use super::sections::figure;
use super::{Figure, Number, STYLE, grouped};
use crate::drawing::Drawing;
use crate::estimate::Estimate;
use crate::movie_plots::{ClassRates, RateUnit, conditions_plot};
use crate::scale_bar::short_number;
use crate::{ReportError, file};

/// What a report is made of.
#[derive(Debug, Clone, Default)]
pub struct ComparisonReport {
    /// What the page is called.
    pub title: String,
    /// The program's name and version.
    pub program: String,
    /// When the comparison was made, as it is to be written; may be empty.
    pub created: String,
    /// What was found, as it can be quoted.
    pub paragraph: String,
    /// Why the comparison may be none, such as doses that differ.
    pub warnings: Vec<String>,
    /// The movies, or groups of movies of one condition, in the order in which they were given.
    pub conditions: Vec<Condition>,
    /// The time that all rates are per.
    pub rate_unit: RateUnit,
    /// Differences between two conditions, class by class.
    pub differences: Vec<RateDifference>,
    /// Maps side by side on one scale, by [`crate::site_map::side_by_side`], each with its caption.
    pub maps: Vec<(String, Drawing)>,
    /// How intervals and tests were made, sentence by sentence.
    pub methods: Vec<String>,
    /// All settings of the run.
    pub settings: serde_json::Value,
}

/// One condition.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// What it is called, such as `vacuum`.
    pub name: String,
    /// What is known of it, such as its frames, dose and detector's errors: name and value with unit. The table has a
    /// row for every name that some condition has.
    pub facts: Vec<(String, String)>,
    /// All its sites together.
    pub total: ClassRates,
    /// Its classes of sites.
    pub classes: Vec<ClassRates>,
}

/// How a rate differs between two conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct RateDifference {
    /// Class of the sites, such as `edge` or `all sites`.
    pub class: String,
    /// What is compared, such as `switches per site and frame`.
    pub quantity: String,
    /// The condition that the other is compared with, by its place in the list.
    pub reference: usize,
    /// The condition that is compared with it.
    pub compared: usize,
    /// Value of the reference.
    pub reference_value: Estimate,
    /// Value of the other.
    pub compared_value: Estimate,
    /// The other's value less that of the reference.
    pub difference: Estimate,
    /// The other's value over that of the reference.
    pub ratio: Estimate,
    /// Probability of a difference as large or larger if there were none.
    pub p_value: f64,
    /// The same with all comparisons of the table taken into account; not finite if it was not computed.
    pub adjusted_p_value: f64,
}

impl ComparisonReport {
    /// The page.
    pub fn to_html(&self) -> Result<String, ReportError> {
        for difference in &self.differences {
            for place in [difference.reference, difference.compared] {
                if place >= self.conditions.len() {
                    let (what, expected) = ("conditions", place + 1);
                    return Err(ReportError::Count { what, found: self.conditions.len(), expected });
                }
            }
        }
        // Two conditions head their own columns.
        let pair = self.same(|difference| (difference.reference, difference.compared));
        let name = |place: usize| self.conditions[place].name.clone();
        let (reference_name, compared_name) =
            pair.map_or(("Reference".to_owned(), "Compared with it".to_owned()), |pair| (name(pair.0), name(pair.1)));
        let settings = if self.settings.is_null() { String::new() } else { format!("{:#}", self.settings) };
        let sections = self.conditions.iter().map(|condition| ConditionSection {
            name: condition.name.clone(),
            rates: rate_rows(&condition.classes, &condition.total),
        });
        let page = Page {
            title: &self.title,
            program: &self.program,
            created: &self.created,
            paragraph: &self.paragraph,
            warnings: self.warnings.iter().map(|text| Warning { place: String::new(), text: text.clone() }).collect(),
            maps: self
                .maps
                .iter()
                .map(|(caption, drawing)| Figure { svg: drawing.to_inline_svg(caption), caption: caption.clone() })
                .collect(),
            rates_figure: self.rates_figure()?,
            differences: self.differences.iter().map(|difference| self.difference_row(difference)).collect(),
            common: self.common(),
            reference_name,
            compared_name,
            adjusted: self.differences.iter().any(|difference| difference.adjusted_p_value.is_finite()),
            unit: self.rate_unit.label(),
            names: self.conditions.iter().map(|condition| condition.name.clone()).collect(),
            facts: self.facts(),
            conditions: sections.collect(),
            methods: &self.methods,
            settings,
            style: STYLE,
        };
        Ok(page.render()?)
    }

    /// Writes the page; an older one is replaced when the new one is complete.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        file::write(path.as_ref(), self.to_html()?.as_bytes())
    }

    fn rates_figure(&self) -> Result<Option<Figure>, ReportError> {
        let known = |class: &ClassRates| class.switch_rate.value.is_finite();
        let mut classes: Vec<String> = Vec::new();
        for class in self.conditions.iter().flat_map(|condition| &condition.classes).filter(|class| known(class)) {
            if !classes.contains(&class.class) {
                classes.push(class.class.clone());
            }
        }
        if self.conditions.iter().any(|condition| known(&condition.total)) {
            classes.push("all sites".to_owned());
        }
        if classes.is_empty() {
            return Ok(None);
        }
        let rates: Vec<(String, Vec<ClassRates>)> = self
            .conditions
            .iter()
            .map(|condition| {
                let total = ClassRates { class: "all sites".to_owned(), ..condition.total.clone() };
                let rates = condition.classes.iter().cloned().chain([total]).filter(known).collect();
                (condition.name.clone(), rates)
            })
            .collect();
        let plot = conditions_plot(&rates, &classes, self.rate_unit);
        figure(&plot, "Switching rates by class and condition, with 95 % intervals".to_owned()).map(Some)
    }

    /// What all differences have in common.
    fn same<T: PartialEq>(&self, of: impl Fn(&RateDifference) -> T) -> Option<T> {
        let first = of(self.differences.first()?);
        self.differences.iter().all(|difference| of(difference) == first).then_some(first)
    }

    /// What would else be in every row of the table.
    fn common(&self) -> Common {
        let pair = self.same(|difference| (difference.reference, difference.compared));
        let quantity = self.same(|difference| difference.quantity.clone());
        let name = |place: usize| &self.conditions[place].name;
        let mut caption: Vec<String> =
            pair.map(|pair| format!("{} against {}", name(pair.1), name(pair.0))).into_iter().collect();
        caption.extend(quantity.clone());
        Common { conditions: pair.is_some(), quantity: quantity.is_some(), caption: caption.join(": ") }
    }

    fn difference_row(&self, difference: &RateDifference) -> DifferenceRow {
        let name = |place: usize| self.conditions[place].name.clone();
        DifferenceRow {
            class: difference.class.clone(),
            quantity: difference.quantity.clone(),
            conditions: format!("{} against {}", name(difference.compared), name(difference.reference)),
            reference: difference.reference_value.into(),
            compared: difference.compared_value.into(),
            difference: difference.difference.into(),
            ratio: difference.ratio.into(),
            p_value: p_label(difference.p_value),
            adjusted: p_label(difference.adjusted_p_value),
            sure: if difference.adjusted_p_value.is_finite() {
                difference.adjusted_p_value < 0.05
            } else {
                difference.p_value < 0.05
            },
        }
    }

    /// What is known of each condition, a row for every name.
    fn facts(&self) -> Vec<(String, Vec<String>)> {
        let mut names: Vec<&String> = Vec::new();
        for (name, _) in self.conditions.iter().flat_map(|condition| &condition.facts) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let value = |condition: &Condition, name: &str| {
            let found = condition.facts.iter().find(|fact| fact.0 == name);
            found.map_or("–".to_owned(), |fact| fact.1.clone())
        };
        let row = |name: &String| (name.clone(), self.conditions.iter().map(|c| value(c, name)).collect());
        names.into_iter().map(row).collect()
    }
}

/// A probability as it is written in papers.
fn p_label(p: f64) -> String {
    match p {
        p if !p.is_finite() => "–".to_owned(),
        p if p < 0.001 => "< 0.001".to_owned(),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

/// The rates of a class as a row of a table.
#[derive(Debug)]
pub(crate) struct RateRow {
    pub(crate) class: String,
    pub(crate) sites: String,
    pub(crate) occupancy: Number,
    pub(crate) switch_rate: Number,
    pub(crate) naive_rate: String,
    pub(crate) fill_rate: Number,
    pub(crate) empty_rate: Number,
    pub(crate) switches: Number,
    pub(crate) naive_switches: String,
    pub(crate) total: bool,
}

/// A row a class and one for all.
pub(crate) fn rate_rows(classes: &[ClassRates], total: &ClassRates) -> Vec<RateRow> {
    let row = |rates: &ClassRates, total: bool| RateRow {
        class: if total { "all sites".to_owned() } else { rates.class.clone() },
        sites: grouped(rates.sites),
        occupancy: Number::percent(rates.occupancy),
        switch_rate: rates.switch_rate.into(),
        naive_rate: Estimate::without_interval(rates.naive_rate).label(),
        fill_rate: rates.fill_rate.into(),
        empty_rate: rates.empty_rate.into(),
        switches: Number::count(rates.switches),
        naive_switches: if rates.naive_switches.is_finite() {
            short_number(rates.naive_switches)
        } else {
            "–".into()
        },
        total,
    };
    classes.iter().map(|rates| row(rates, false)).chain([row(total, true)]).collect()
}

/// A difference as a row of a table.
#[derive(Debug)]
struct DifferenceRow {
    class: String,
    quantity: String,
    conditions: String,
    reference: Number,
    compared: Number,
    difference: Number,
    ratio: Number,
    p_value: String,
    adjusted: String,
    sure: bool,
}

/// What the rows of a table have in common, which then stands above it.
#[derive(Debug)]
struct Common {
    conditions: bool,
    quantity: bool,
    caption: String,
}

/// The rates of one condition.
#[derive(Debug)]
struct ConditionSection {
    name: String,
    rates: Vec<RateRow>,
}

/// What the template needs.
#[derive(Template)]
#[template(path = "comparison.html")]
struct Page<'a> {
    title: &'a str,
    program: &'a str,
    created: &'a str,
    paragraph: &'a str,
    warnings: Vec<Warning>,
    maps: Vec<Figure>,
    rates_figure: Option<Figure>,
    differences: Vec<DifferenceRow>,
    common: Common,
    reference_name: String,
    compared_name: String,
    adjusted: bool,
    unit: &'static str,
    names: Vec<String>,
    facts: Vec<(String, Vec<String>)>,
    conditions: Vec<ConditionSection>,
    methods: &'a [String],
    settings: String,
    style: &'static str,
}
