//! A backup schedule, as far as it bounds the data loss: its longest gap. Grammar: `every 15m`, `hourly`, `daily 02:00`,
//! `daily 02:00,14:00`, `weekly sun 02:00`, and the five fields of cron (`*/15 * * * *`). Times are UTC.

use std::str::FromStr;
use std::time::Duration;

/// When backups run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    worst_gap: Duration,
}

const DAY: u64 = 24 * 3600;

impl Schedule {
    /// The longest time between two runs.
    pub fn worst_gap(&self) -> Duration {
        self.worst_gap
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let seconds = match words.as_slice() {
            ["every", span] => duration(span)?.as_secs(),
            ["hourly"] => 3600,
            ["daily"] => DAY,
            ["daily", times] => daily_gap(times)?,
            ["weekly"] => 7 * DAY,
            [minute, hour, day, month, weekday] => super::cron::worst_gap([minute, hour, day, month, weekday])?,
            ["weekly", day, time] => {
                let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
                if !days.contains(&day.to_lowercase().as_str()) {
                    return Err(format!("`{day}` is not a day: write one of {}", days.join(", ")));
                }
                clock(time)?;
                7 * DAY
            }
            _ => {
                return Err(format!(
                    "`{text}` is not a schedule: write `every 15m`, `hourly`, `daily 02:00`, `daily 02:00,14:00`, `weekly sun 02:00` or five cron fields (UTC)"
                ));
            }
        };
        if seconds == 0 {
            return Err(format!("`{text}`: the time between two backups must be longer than zero"));
        }
        Ok(Self { text: words.join(" "), worst_gap: Duration::from_secs(seconds) })
    }
}

/// The longest gap between the times of a day, around midnight too.
fn daily_gap(times: &str) -> Result<u64, String> {
    let mut at = times.split(',').map(clock).collect::<Result<Vec<u64>, String>>()?;
    at.sort_unstable();
    let first = at.first().copied().unwrap_or(0);
    let next = at.iter().copied().skip(1).chain([first + DAY]);
    Ok(at.iter().copied().zip(next).map(|(a, b)| b - a).max().unwrap_or(DAY))
}

/// `HH:MM` as seconds since midnight.
fn clock(time: &str) -> Result<u64, String> {
    let bad = || format!("`{time}` is not a time: write HH:MM");
    let (h, m) = time.split_once(':').ok_or_else(bad)?;
    let (h, m): (u64, u64) = (h.parse().map_err(|_| bad())?, m.parse().map_err(|_| bad())?);
    if h < 24 && m < 60 { Ok(h * 3600 + m * 60) } else { Err(bad()) }
}

/// A span such as `90s`, `15m`, `2h`, `1d` (one number, one unit).
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a duration: write a number and s, m, h or d, such as 30m");
    let unit = text.chars().last().ok_or_else(bad)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => DAY,
        _ => return Err(bad()),
    };
    let number: u64 = text[..text.len() - 1].trim().parse().map_err(|_| bad())?;
    number.checked_mul(factor).map(Duration::from_secs).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(text: &str) -> u64 {
        text.parse::<Schedule>().unwrap().worst_gap().as_secs()
    }

    #[test]
    fn gaps() {
        assert_eq!(gap("every 15m"), 900);
        assert_eq!(gap("hourly"), 3600);
        assert_eq!(gap("daily 02:00"), DAY);
        assert_eq!(gap("daily 02:00,14:00"), DAY / 2);
        assert_eq!(gap("daily 02:00,03:00"), 23 * 3600);
        assert_eq!(gap("weekly sun 02:00"), 7 * DAY);
        assert_eq!(gap("*/15 * * * *"), 900);
    }

    #[test]
    fn nonsense_is_refused_with_the_grammar() {
        for text in ["", "never", "every 0m", "every x", "daily 25:00", "daily 02:00,", "weekly foo 02:00", "every 1é"]
        {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }
}
