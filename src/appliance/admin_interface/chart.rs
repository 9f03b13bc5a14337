//! The temperature of the last hour, or since the start where that is shorter, as a line drawn by plotters as SVG.
//!
//! Colours come from the style sheet, so that the line fits light and dark; numbers stand beside it as text. Must
//! never put text from outside into the picture: it is written unescaped.

use std::time::Duration;

use maud::{Markup, PreEscaped, html};
use plotters::backend::SVGBackend;
use plotters::{
    coord::types::RangedCoordf64,
    prelude::{AreaSeries, Cartesian2d, ChartBuilder, ChartContext, Color, IntoDrawingArea, LineSeries, RGBColor},
};
use tokio::time::Instant;

use super::format;
use crate::thermal_watch::{History, Sample};

/// Size of the drawing; it is scaled to its place.
const SIZE: (u32, u32) = (600, 120);
/// What the plot covers at most, in minutes.
const SPAN_MIN_MAX: u64 = 60;
/// And at least: with a few samples the line is long enough to be seen.
const SPAN_MIN_MIN: u64 = 2;
/// The scale never shows less than this many degrees, so that noise doesn't look like a mountain range.
const RANGE_C_MIN: f64 = 20.0;
/// The scale begins and ends at a multiple of this many degrees, and has a line at each.
const STEP_C: f64 = 10.0;
/// Drawn in two colours that the style sheet replaces.
const INK: RGBColor = RGBColor(0, 110, 100);
const GRID: RGBColor = RGBColor(0, 0, 0);

/// The figure.
pub(super) fn temperature(history: &History) -> Markup {
    let samples: Vec<Sample> = history.samples().collect();
    let Some((lowest, highest, newest)) = extremes(&samples) else {
        return html! { p.muted { "No temperature has been measured yet." } };
    };
    let scale = Scale::of(&samples, lowest, highest);
    let said = format!(
        "Temperature of the last {}: now {}, lowest {}, highest {}",
        scale.span(),
        format::temperature(newest),
        format::temperature(lowest),
        format::temperature(highest)
    );
    html! {
        figure.chart {
            @match draw(&samples, &scale) {
                Ok(svg) => { (framed(&svg, &said, &scale)) }
                Err(error) => { p.muted { "The plot can't be drawn: " (error) } }
            }
            figcaption {
                "Now " (format::temperature(newest)) ", between " (format::temperature(lowest)) " and "
                (format::temperature(highest)) " in the last " (scale.span())
            }
        }
    }
}

/// The drawing with its scale beside it, as text, because the drawing is stretched.
fn framed(svg: &str, said: &str, scale: &Scale) -> Markup {
    html! {
        div.frame {
            div.degrees aria-hidden="true" { span { (scale.top_c) " °C" } span { (scale.floor_c) " °C" } }
            div.plot role="img" aria-label=(said) { (PreEscaped(svg)) }
            div.times aria-hidden="true" { span { (scale.ago()) } span { "now" } }
        }
    }
}

/// What the plot covers.
struct Scale {
    minutes: u64,
    floor_c: f64,
    top_c: f64,
}

impl Scale {
    fn of(samples: &[Sample], lowest_mc: i32, highest_mc: i32) -> Self {
        let age = samples.first().map_or(Duration::ZERO, |oldest| oldest.at.elapsed());
        let floor_c = (f64::from(lowest_mc) / 1000.0 / STEP_C).floor() * STEP_C;
        let top_c = (f64::from(highest_mc) / 1000.0 / STEP_C).ceil() * STEP_C;
        Self {
            minutes: age.as_secs().div_ceil(60).clamp(SPAN_MIN_MIN, SPAN_MIN_MAX),
            floor_c,
            top_c: top_c.max(floor_c + RANGE_C_MIN),
        }
    }

    fn span(&self) -> String {
        if self.minutes == SPAN_MIN_MAX { "hour".to_owned() } else { format!("{} minutes", self.minutes) }
    }

    fn ago(&self) -> String {
        if self.minutes == SPAN_MIN_MAX { "1 hour ago".to_owned() } else { format!("{} minutes ago", self.minutes) }
    }

    fn seconds(&self) -> f64 {
        Duration::from_secs(self.minutes * 60).as_secs_f64()
    }

    /// The lines across.
    fn lines(&self) -> impl Iterator<Item = f64> {
        let (floor_c, top_c) = (self.floor_c, self.top_c);
        std::iter::successors(Some(floor_c), |at| Some(at + STEP_C)).take_while(move |at| *at <= top_c)
    }
}

fn extremes(samples: &[Sample]) -> Option<(i32, i32, i32)> {
    let temperatures = || samples.iter().map(|sample| sample.temperature_mc);
    Some((temperatures().min()?, temperatures().max()?, temperatures().next_back()?))
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn draw(samples: &[Sample], scale: &Scale) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let chart = ChartBuilder::on(&area).build_cartesian_2d(-scale.seconds()..0.0, scale.floor_c..scale.top_c);
        let mut chart = chart.map_err(|error| error.to_string())?;
        plot(&mut chart, samples, scale).map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(scalable(&svg))
}

fn plot(
    chart: &mut Chart<'_, '_>,
    samples: &[Sample],
    scale: &Scale,
) -> Result<(), plotters::prelude::DrawingAreaErrorKind<std::io::Error>> {
    let now = Instant::now();
    let point =
        |sample: &Sample| (-now.duration_since(sample.at).as_secs_f64(), f64::from(sample.temperature_mc) / 1000.0);
    let mut points: Vec<_> = samples.iter().map(point).filter(|(at, _)| *at >= -scale.seconds()).collect();
    // A sample stands for the time until the next one, the last for the time until now.
    points.extend(points.last().map(|(_, newest_c)| (0.0, *newest_c)));
    for at_c in scale.lines() {
        chart.draw_series(LineSeries::new([(-scale.seconds(), at_c), (0.0, at_c)], GRID.stroke_width(1)))?;
    }
    chart.draw_series(AreaSeries::new(points.iter().copied(), scale.floor_c, INK.mix(0.15)))?;
    chart.draw_series(LineSeries::new(points, INK.stroke_width(2)))?;
    Ok(())
}

/// The drawing without its fixed size, so that its place decides, and hidden from screen readers: the frame speaks.
fn scalable(svg: &str) -> String {
    let fixed = format!("width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1);
    svg.replacen(&fixed, "preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\"", 1)
}
