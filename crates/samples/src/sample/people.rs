//! The workspaces, people and addresses of the sample.

/// One workspace of the sample, with its people and projects.
#[derive(Debug)]
pub(super) struct Workspace {
    /// The workspace id.
    pub(super) id: &'static str,
    /// Its share of all events.
    pub(super) weight: u64,
    /// Its product area.
    pub(super) product: &'static str,
    /// The people, the busiest first; the first three administer it.
    pub(super) people: &'static [Person],
    /// The API tokens that programs use.
    pub(super) tokens: &'static [Token],
    /// The projects its events belong to.
    pub(super) projects: &'static [&'static str],
}

/// One person.
#[derive(Debug)]
pub(super) struct Person {
    /// The full name.
    pub(super) name: &'static str,
    /// The e-mail address for sign-in.
    pub(super) email: &'static str,
    /// The team.
    pub(super) team: &'static str,
    /// The roles held.
    pub(super) role: &'static str,
    /// Their usual location.
    pub(super) place: Place,
    /// Their browser.
    pub(super) browser: &'static str,
}

/// A program that uses the API.
#[derive(Debug)]
pub(super) struct Token {
    /// The token's id.
    pub(super) id: &'static str,
    /// The token's name.
    pub(super) name: &'static str,
    /// The location of the program.
    pub(super) place: Place,
    /// The user agent of the program.
    pub(super) program: &'static str,
}

/// The location of a client. The addresses are those that RFC 5737 and RFC 3849 reserve for documentation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The country code.
    pub(super) country: &'static str,
    /// The city.
    pub(super) city: &'static str,
    /// The address.
    pub(super) address: &'static str,
}

const fn place(country: &'static str, city: &'static str, address: &'static str) -> Place {
    Place {
        country,
        city,
        address,
    }
}

const fn person(
    name: &'static str,
    email: &'static str,
    team: &'static str,
    role: &'static str,
    place: Place,
    browser: &'static str,
) -> Person {
    Person {
        name,
        email,
        team,
        role,
        place,
        browser,
    }
}

const fn token(id: &'static str, name: &'static str, place: Place, program: &'static str) -> Token {
    Token {
        id,
        name,
        place,
        program,
    }
}

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15";

/// The source of the burst of failed sign-ins.
pub(super) const INTRUDER: Place = place("RO", "Cluj-Napoca", "203.0.113.66");
/// The user agent of the burst.
pub(super) const INTRUDER_BROWSER: &str = "python-requests/2.32.5";
/// The victim of the burst: an index into the people of the first workspace.
pub(super) const VICTIM: usize = 4;

/// Locations of people who travel.
pub(super) const AWAY: [Place; 5] = [
    FRANKFURT,
    place("NL", "Amsterdam", "198.51.100.88"),
    place("SG", "Singapore", "198.51.100.140"),
    ASHBURN,
    place("GB", "London", "2001:db8:85a3::8a2e:370:7334"),
];

const FRANKFURT: Place = place("DE", "Frankfurt am Main", "198.51.100.17");
const ASHBURN: Place = place("US", "Ashburn", "198.51.100.203");
const MUNICH: Place = place("DE", "München", "192.0.2.10");
const ZURICH: Place = place("CH", "Zürich", "192.0.2.24");
const WARSAW: Place = place("PL", "Łódź", "192.0.2.37");
const SHANGHAI: Place = place("CN", "上海", "192.0.2.51");
const AUSTIN: Place = place("US", "Austin", "192.0.2.77");
const COPENHAGEN: Place = place("DK", "København", "192.0.2.90");

/// The workspaces, the busiest first.
#[rustfmt::skip] // A table: one line a person.
pub(super) const WORKSPACES: [Workspace; 3] = [
    Workspace {
        id: "acme-production",
        weight: 60,
        product: "observability",
        people: &[
            person("Amara Okafor", "amara.okafor@acme.example", "Platform", "Owner", AUSTIN, CHROME),
            person("李雷", "lei.li@acme.example", "Platform", "Administrator", SHANGHAI, CHROME),
            person("Zoë Brandt", "zoe.brandt@acme.example", "Reliability", "Administrator", MUNICH, FIREFOX),
            person("Jonas Weber", "jonas.weber@acme.example", "Reliability", "Standard", MUNICH, FIREFOX),
            person("Marta Kowalska", "marta.kowalska@acme.example", "Payments", "Standard,Monitor editor", WARSAW, CHROME),
            person("韩梅梅", "meimei.han@acme.example", "Checkout", "Standard", SHANGHAI, SAFARI),
            person("Priya Raman", "priya.raman@acme.example", "Payments", "Standard", AUSTIN, CHROME),
            person("José Ángel Núñez", "jose.nunez@acme.example", "Checkout", "Standard", AUSTIN, SAFARI),
            person("Siobhán O'Neill", "siobhan.oneill@acme.example", "Security", "Auditor", ZURICH, FIREFOX),
            person("Ольга Петрова", "olga.petrova@acme.example", "Data", "Standard", WARSAW, CHROME),
            person("Tomáš Dvořák", "tomas.dvorak@acme.example", "Data", "Read-only", MUNICH, CHROME),
            person("Lucía Fernández", "lucia.fernandez@acme.example", "Finance", "Billing", ZURICH, SAFARI),
            person("Kwame Mensah", "kwame.mensah@acme.example", "Support", "Read-only", AUSTIN, CHROME),
            person("Åsa Nyström", "asa.nystrom@acme.example", "Security", "Auditor", COPENHAGEN, FIREFOX),
            person("Nguyễn Thị Hoa", "hoa.nguyen@acme.example", "Support", "Read-only", SHANGHAI, SAFARI),
        ],
        tokens: &[
            token("tkn_deploy", "deploy-pipeline", ASHBURN, "curl/8.16.0"),
            token("tkn_terraform", "terraform", ASHBURN, "terraform-provider-guance/0.9"),
            token("tkn_siem", "siem-export", FRANKFURT, "python-requests/2.32.5"),
        ],
        projects: &["checkout", "payments", "search"],
    },
    Workspace {
        id: "acme-staging",
        weight: 15,
        product: "observability",
        people: &[
            person("李雷", "lei.li@acme.example", "Platform", "Owner", SHANGHAI, CHROME),
            person("Jonas Weber", "jonas.weber@acme.example", "Reliability", "Administrator", MUNICH, FIREFOX),
            person("Zoë Brandt", "zoe.brandt@acme.example", "Reliability", "Administrator", MUNICH, FIREFOX),
            person("Marta Kowalska", "marta.kowalska@acme.example", "Payments", "Standard", WARSAW, CHROME),
            person("Priya Raman", "priya.raman@acme.example", "Payments", "Standard", AUSTIN, CHROME),
            person("韩梅梅", "meimei.han@acme.example", "Checkout", "Standard", SHANGHAI, SAFARI),
        ],
        tokens: &[token("tkn_nightly", "nightly-tests", FRANKFURT, "curl/8.16.0")],
        projects: &["checkout", "sandbox"],
    },
    Workspace {
        id: "nordlicht",
        weight: 25,
        product: "security",
        people: &[
            person("Freja Østergård", "freja@nordlicht.example", "Operations", "Owner", COPENHAGEN, SAFARI),
            person("Søren Ærø", "soren@nordlicht.example", "Operations", "Administrator", COPENHAGEN, FIREFOX),
            person("Jürgen Groß", "juergen@nordlicht.example", "Compliance", "Administrator", ZURICH, CHROME),
            person("Chloé Lefèvre", "chloe@nordlicht.example", "Analytics", "Standard", ZURICH, SAFARI),
            person("İpek Şahin", "ipek@nordlicht.example", "Analytics", "Standard", MUNICH, CHROME),
            person("Ada \"Ace\" Holm", "ada@nordlicht.example", "Field, North", "Standard", COPENHAGEN, CHROME),
            person("Γιώργος Παπάς", "giorgos@nordlicht.example", "Compliance", "Auditor", ZURICH, FIREFOX),
            person("Mia Lund", "mia@nordlicht.example", "Field, North", "Read-only", COPENHAGEN, SAFARI),
        ],
        tokens: &[
            token("tkn_grafana", "grafana", FRANKFURT, "Grafana/12.3.0"),
            token("tkn_backup", "backup-job", COPENHAGEN, "Go-http-client/2.0"),
        ],
        projects: &["wind-farm", "grid"],
    },
];
