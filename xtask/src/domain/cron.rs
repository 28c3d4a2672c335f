//! The longest gap of a five-field cron expression, found by walking the calendar. It knows no clock: only which days and
//! minutes match.

/// Days walked: after 28 years weekdays and leap years repeat, from 1901 to 2099.
const YEARS: u32 = 28;
const DAY: u64 = 24 * 60;

/// The longest time between two runs, in seconds: `minute hour day month weekday`, each `*`, `a`, `a-b`, `*/n`, `a-b/n`, or a
/// list of those. As in cron, day and weekday are alternatives when both are given.
pub fn worst_gap(fields: [&str; 5]) -> Result<u64, String> {
    let [minute, hour, day, month, weekday] = fields;
    let minutes = values(minute, 0, 59, &[])?;
    let hours = values(hour, 0, 23, &[])?;
    let days = values(day, 1, 31, &[])?;
    let months =
        values(month, 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])?;
    let weekdays = values(weekday, 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"])?;
    let times: Vec<u64> = hours.iter().flat_map(|h| minutes.iter().map(move |m| u64::from(h * 60 + m))).collect();
    let within = times.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0);
    let (Some(first), Some(last)) = (times.first().copied(), times.last().copied()) else {
        return Err("no time matches".into());
    };
    let on = |d: u32, m: u32, w: u32| {
        let by_day = days.contains(&d);
        let by_week = weekdays.contains(&w) || (w == 0 && weekdays.contains(&7));
        let either = !day.starts_with('*') && !weekday.starts_with('*');
        months.contains(&m) && if either { by_day || by_week } else { by_day && by_week }
    };
    let runs = matching_days(on);
    let Some(first_day) = runs.first().copied() else {
        return Err(format!("`{}` names a day that never comes", fields.join(" ")));
    };
    let cycle = u64::from(YEARS) * 365 + u64::from(YEARS) / 4;
    let next = runs.iter().copied().skip(1).chain([first_day + cycle]);
    let between = runs.iter().copied().zip(next).map(|(a, b)| (b - a) * DAY + first - last).max().unwrap_or(0);
    Ok(within.max(between) * 60)
}

/// The numbers of the days on which it runs, walking from a Sunday, 1 January of a year after a leap year.
fn matching_days(on: impl Fn(u32, u32, u32) -> bool) -> Vec<u64> {
    let mut runs = Vec::new();
    let mut number = 0_u64;
    for year in 1..=YEARS {
        for month in 1..=12_u32 {
            let length = match month {
                2 if year % 4 == 0 => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            for day in 1..=length {
                if on(day, month, u32::try_from(number % 7).unwrap_or(0)) {
                    runs.push(number);
                }
                number += 1;
            }
        }
    }
    runs
}

/// The values of one field, sorted.
fn values(field: &str, low: u32, high: u32, words: &[&str]) -> Result<Vec<u32>, String> {
    let bad = || format!("`{field}` is not a cron field from {low} to {high}");
    let number = |text: &str| -> Result<u32, String> {
        let named = words.iter().position(|w| text.eq_ignore_ascii_case(w)).and_then(|i| u32::try_from(i).ok());
        let value = named.map(|i| i + low).or_else(|| text.parse().ok()).ok_or_else(bad)?;
        if (low..=high).contains(&value) { Ok(value) } else { Err(bad()) }
    };
    let mut all = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|s| *s > 0).ok_or_else(bad)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(bad());
        }
        all.extend((from..=to).step_by(step as usize));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> f64 {
        let fields: Vec<&str> = text.split(' ').collect();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let hours = worst_gap(fields.try_into().unwrap()).unwrap() as f64 / 3600.0;
        hours
    }

    #[test]
    fn the_longest_gap_is_found_across_hours_nights_weekends_and_leap_years() {
        for (text, expected) in [
            ("*/15 * * * *", 0.25),
            ("0,50 * * * *", 50.0 / 60.0),
            ("0 2 * * *", 24.0),
            ("0 8-18 * * *", 14.0),
            ("0 2 * * mon-fri", 72.0),
            ("0 2 * * 7", 168.0),
            ("0 2 1 * *", 31.0 * 24.0),
            ("0 2 1 * sun", 168.0),
            ("0 0 29 feb *", 1461.0 * 24.0),
            ("5/20 * * * *", 20.0 / 60.0),
        ] {
            assert!((hours(text) - expected).abs() < 1e-9, "{text}: {}", hours(text));
        }
    }

    #[test]
    fn what_never_runs_or_is_no_field_is_refused() {
        for text in ["0 0 31 feb *", "60 * * * *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *", ", * * * *"]
        {
            let fields: Vec<&str> = text.split(' ').collect();
            assert!(worst_gap(fields.try_into().unwrap()).is_err(), "{text}");
        }
    }
}
