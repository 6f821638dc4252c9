//! Is a cron schedule well formed? Five fields, names, steps, ranges, and the `@` words, with the cron library's complaints.
//! Upstream: github.com/robfig/cron.

struct Field {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { low: 0, high: 59, names: &[] },
    Field { low: 0, high: 23, names: &[] },
    Field { low: 1, high: 31, names: &[] },
    Field { low: 1, high: 12, names: &MONTHS },
    Field { low: 0, high: 6, names: &DAYS },
];

/// Checks a schedule; the error is the text clients see.
pub(crate) fn parse(schedule: &str) -> Result<(), String> {
    let mut rest = schedule.trim_start();
    if rest.starts_with("TZ=") || rest.starts_with("CRON_TZ=") {
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest).trim_start();
    }
    if let Some(word) = rest.strip_prefix('@') {
        return match word {
            "yearly" | "annually" | "monthly" | "weekly" | "daily" | "midnight" | "hourly" => Ok(()),
            _ if word.starts_with("every ") => Ok(()),
            _ => Err(format!("unrecognized descriptor: {rest}")),
        };
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let shown: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), shown.join(" ")));
    }
    fields.iter().zip(&FIELDS).try_for_each(|(text, field)| text.split(',').try_for_each(|part| range(part, field)))
}

fn range(text: &str, field: &Field) -> Result<(), String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (bounds, step) = match parts[..] {
        [bounds] => (bounds, None),
        [bounds, step] => (bounds, Some(step)),
        _ => return Err(format!("too many slashes: {text}")),
    };
    let ends: Vec<&str> = bounds.split('-').collect();
    let (start, end) = match ends[..] {
        ["*" | "?"] => (field.low, field.high),
        [one] => {
            let value = number(one, field)?;
            (value, if step.is_some() { field.high } else { value })
        }
        [low, high] => (number(low, field)?, number(high, field)?),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    let step = step.map_or(Ok(1), parse_int)?;
    if start < field.low {
        return Err(format!("beginning of range ({start}) below minimum ({}): {text}", field.low));
    }
    if end > field.high {
        return Err(format!("end of range ({end}) above maximum ({}): {text}", field.high));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn number(text: &str, field: &Field) -> Result<u32, String> {
    let name = field.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    match name.and_then(|index| u32::try_from(index).ok()) {
        Some(index) => Ok(index + field.low),
        None => parse_int(text),
    }
}

fn parse_int(text: &str) -> Result<u32, String> {
    let parsed: Result<i64, _> = text.parse();
    match parsed {
        Ok(value) if value < 0 => Err(format!("negative number ({value}) not allowed: {text}")),
        Ok(value) => u32::try_from(value).map_err(|_| format!("end of range ({value}) above maximum: {text}")),
        Err(_) => Err(format!(
            "failed to parse int from {text}: strconv.Atoi: parsing {}: invalid syntax",
            api::go_text::quote(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_accepted_and_refused_as_cron_does() {
        for good in ["* * * * *", "*/5 0-3 1,15 jan-MAR mon", "@hourly", "0 0 31 2 *", "TZ=UTC 1 2 3 4 5", "@every 1h"]
        {
            assert_eq!(parse(good), Ok(()), "{good}");
        }
        assert_eq!(parse("* * * *"), Err("expected exactly 5 fields, found 4: [* * * *]".to_owned()));
        assert_eq!(parse("61 * * * *"), Err("end of range (61) above maximum (59): 61".to_owned()));
        assert_eq!(
            parse("x * * * *"),
            Err("failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax".to_owned())
        );
        assert_eq!(parse("*/0 * * * *"), Err("step of range should be a positive number: */0".to_owned()));
    }
}
