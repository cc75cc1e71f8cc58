//! The workspaces and people of the load, derived from their numbers.

use super::words::{FAMILY_NAMES, FIRST_NAMES, ROLES, TEAMS};
use crate::random::{Random, Shares, mixed};

/// The number of people in a workspace.
pub(super) const PEOPLE: usize = FIRST_NAMES.len() * FAMILY_NAMES.len();

/// The programs that people and their scripts use.
const PROGRAMS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "curl/8.16.0",
    "python-requests/2.32.5",
    "Go-http-client/2.0",
];

/// Countries and cities of the offices.
const PLACES: [(&str, &str); 8] = [
    ("DE", "München"),
    ("CN", "上海"),
    ("US", "Austin"),
    ("CH", "Zürich"),
    ("PL", "Łódź"),
    ("SG", "Singapore"),
    ("GB", "London"),
    ("IN", "Pune"),
];

/// All workspaces, the busiest first.
#[derive(Debug)]
pub(super) struct Population {
    workspaces: Vec<Workspace>,
    activity: Shares,
    /// The distribution of events over the people of a workspace.
    people: Shares,
}

/// A workspace.
#[derive(Debug)]
pub(super) struct Workspace {
    /// The number of the workspace, from 1.
    pub(super) number: u64,
    /// Its id.
    pub(super) id: String,
    /// Its people, the busiest first.
    pub(super) people: Vec<Person>,
}

/// A person. Texts are parts of JSON objects: keys with values, and nothing that needs escaping.
#[derive(Debug)]
pub(super) struct Person {
    /// The hash from which other ids of the person are derived.
    pub(super) key: u64,
    /// The full name.
    pub(super) name: String,
    /// The e-mail address.
    pub(super) email: String,
    /// Id, name, address, team, roles.
    pub(super) identity: String,
    /// Program, device, country and city.
    pub(super) equipment: String,
}

impl Population {
    /// `workspaces` workspaces with [`PEOPLE`] people each. Events are distributed by Zipf's law.
    pub(super) fn new(workspaces: u32) -> Self {
        let workspaces: Vec<Workspace> = (1..=u64::from(workspaces)).map(Workspace::new).collect();
        Self {
            activity: Shares::zipf(workspaces.len()),
            people: Shares::zipf(PEOPLE),
            workspaces,
        }
    }

    /// One of the workspaces.
    pub(super) fn workspace(&self, random: &mut Random) -> &Workspace {
        &self.workspaces[self.activity.draw(random)]
    }

    /// One of the people of a workspace.
    pub(super) fn person<'a>(&self, workspace: &'a Workspace, random: &mut Random) -> &'a Person {
        &workspace.people[self.people.draw(random)]
    }
}

impl Workspace {
    fn new(number: u64) -> Self {
        Self {
            number,
            id: format!("workspace-{number:02}"),
            people: (0..PEOPLE)
                .map(|person| Person::new(number, person))
                .collect(),
        }
    }
}

impl Person {
    fn new(workspace: u64, number: usize) -> Self {
        let key = mixed(&[workspace, number as u64]);
        // Each workspace has another order of names. 7 and the number of people are coprime.
        let place = (number * 7 + shift(workspace)) % PEOPLE;
        let first = FIRST_NAMES[place % FIRST_NAMES.len()];
        let family = FAMILY_NAMES[place / FIRST_NAMES.len()];
        let name = format!("{first} {family}");
        let email = format!("person{number}@company{workspace:02}.example");
        let team = chosen(&TEAMS, key);
        let role = chosen(&ROLES, key >> 8);
        let identity = format!(
            r#""df_user_id":"acnt_{:012x}","df_user_name":"{name}","df_user_email":"{email}","df_user_team":"{team}","df_role_scope":"{role}""#,
            key >> 16
        );
        let program = chosen(&PROGRAMS, key >> 16);
        let (country, city) = chosen(&PLACES, key >> 24);
        let equipment = format!(
            r#""user_agent":"{program}","device_id":"dev_{:08x}","country":"{country}","city":"{city}""#,
            key >> 32
        );
        Self {
            key,
            name,
            email,
            identity,
            equipment,
        }
    }
}

/// The offset of the names of a workspace.
fn shift(workspace: u64) -> usize {
    usize::try_from(mixed(&[workspace]) % PEOPLE as u64).unwrap_or_default()
}

/// One of `choices`, selected by `key`.
fn chosen<T>(choices: &[T], key: u64) -> &T {
    let index = usize::try_from(key % choices.len() as u64).unwrap_or_default();
    &choices[index]
}
