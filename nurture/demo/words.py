"""The words that the demo's people, companies, pages and mails are made of. All invented; addresses use reserved domains."""

from __future__ import annotations

from typing import NamedTuple


class Country(NamedTuple):
    """A market of the demo company: ISO code, IANA zone, language, weight, cities with their region, and its people's names."""

    code: str
    zone: str
    language: str
    weight: int
    cities: tuple[tuple[str, str], ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


_GERMAN_FIRST = (
    "Anna", "Lukas", "Sabine", "Jürgen", "Katharina", "Thomas", "Miriam", "Stefan", "Julia", "Andreas", "Birgit", "Felix",
    "Heike", "Markus", "Nadine", "Oliver", "Petra", "Ralf", "Silke", "Tobias", "Ulrike", "Volker", "Yvonne", "Matthias",
)  # fmt: skip
_GERMAN_LAST = (
    "Müller", "Schmidt", "Weber", "Fischer", "Becker", "Hoffmann", "Schäfer", "Koch", "Bauer", "Richter", "Klein", "Wolf",
    "Schröder", "Neumann", "Zimmermann", "Krüger", "Hartmann", "Lange", "Vogel", "Brandt", "Günther", "Pfeiffer", "Roth", "Seidel",
)  # fmt: skip
_ENGLISH_FIRST = (
    "James", "Olivia", "Daniel", "Grace", "Michael", "Hannah", "Robert", "Laura", "David", "Emily", "Kevin", "Rachel",
    "Brian", "Megan", "Steven", "Nicole", "Paul", "Diane", "Marcus", "Alicia", "Gregory", "Tanya", "Victor", "Joanna",
)  # fmt: skip
_ENGLISH_LAST = (
    "Carter", "Hughes", "Bennett", "Morris", "Reed", "Sullivan", "Foster", "Hayes", "Coleman", "Griffin", "Wallace", "Barnes",
    "Ramirez", "Nguyen", "Patel", "O'Connor", "Whitaker", "Lindsey", "Marsh", "Donovan", "Pruitt", "Ellison", "Kerr", "Vaughn",
)  # fmt: skip

COUNTRIES = (
    Country(
        "DE",
        "Europe/Berlin",
        "de",
        30,
        (
            ("Stuttgart", "Baden-Württemberg"),
            ("München", "Bayern"),
            ("Köln", "Nordrhein-Westfalen"),
            ("Hannover", "Niedersachsen"),
            ("Leipzig", "Sachsen"),
        ),
        _GERMAN_FIRST,
        _GERMAN_LAST,
    ),
    Country(
        "AT",
        "Europe/Vienna",
        "de",
        8,
        (("Wien", "Wien"), ("Linz", "Oberösterreich"), ("Graz", "Steiermark")),
        _GERMAN_FIRST,
        ("Gruber", "Huber", "Steiner", "Moser", "Pichler", "Leitner", "Eder", "Wallner"),
    ),
    Country(
        "CH",
        "Europe/Zurich",
        "de",
        7,
        (("Zürich", "Zürich"), ("Winterthur", "Zürich"), ("Bern", "Bern")),
        _GERMAN_FIRST,
        ("Meier", "Keller", "Frei", "Brunner", "Baumann", "Gerber", "Graf", "Zbinden"),
    ),
    Country(
        "US",
        "America/Chicago",
        "en",
        22,
        (
            ("Cleveland", "Ohio"),
            ("Milwaukee", "Wisconsin"),
            ("Detroit", "Michigan"),
            ("Charlotte", "North Carolina"),
            ("Portland", "Oregon"),
        ),
        _ENGLISH_FIRST,
        _ENGLISH_LAST,
    ),
    Country(
        "GB",
        "Europe/London",
        "en",
        10,
        (("Sheffield", "England"), ("Leeds", "England"), ("Glasgow", "Scotland")),
        _ENGLISH_FIRST,
        _ENGLISH_LAST,
    ),
    Country(
        "FR",
        "Europe/Paris",
        "fr",
        7,
        (("Lyon", "Auvergne-Rhône-Alpes"), ("Toulouse", "Occitanie"), ("Lille", "Hauts-de-France")),
        ("Camille", "Nicolas", "Élodie", "Julien", "Céline", "Mathieu", "Sophie", "Benoît"),
        ("Martin", "Lefèvre", "Moreau", "Girard", "Roussel", "Fontaine", "Chevalier", "Dumas"),
    ),
    Country(
        "IT",
        "Europe/Rome",
        "it",
        4,
        (("Torino", "Piemonte"), ("Bologna", "Emilia-Romagna")),
        ("Giulia", "Marco", "Chiara", "Alessandro", "Elena", "Davide"),
        ("Ferrari", "Conti", "Ricci", "Galli", "Marchetti", "Rinaldi"),
    ),
    Country(
        "NL",
        "Europe/Amsterdam",
        "nl",
        4,
        (("Eindhoven", "Noord-Brabant"), ("Rotterdam", "Zuid-Holland")),
        ("Sanne", "Daan", "Lotte", "Bram", "Femke", "Ruben"),
        ("de Vries", "van Dijk", "Bakker", "Visser", "Mulder", "Hendriks"),
    ),
    Country(
        "PL",
        "Europe/Warsaw",
        "pl",
        4,
        (("Wrocław", "Dolnośląskie"), ("Gdańsk", "Pomorskie")),
        ("Agnieszka", "Piotr", "Magdalena", "Tomasz", "Zofia", "Krzysztof"),
        ("Kowalska", "Nowak", "Wiśniewski", "Zieliński", "Wójcik", "Lewandowska"),
    ),
    Country(
        "KR",
        "Asia/Seoul",
        "ko",
        3,
        (("Ulsan", "Yeongnam"), ("Seoul", "Sudogwon")),
        ("지훈", "서연", "민수", "유진"),
        ("김", "이", "박", "최"),
    ),
)

INDUSTRIES = (
    ("manufacturing", 34),
    ("automotive", 14),
    ("food processing", 10),
    ("chemicals", 9),
    ("logistics", 9),
    ("energy", 7),
    ("medical devices", 6),
    ("software", 6),
    ("education", 3),
    ("consulting", 2),
)

COMPANY_STEMS = (
    "Alden", "Berg", "Corvin", "Delmar", "Eastgate", "Falken", "Granit", "Hollen", "Iverson", "Jansky", "Kestner", "Lumen",
    "Marlow", "Nordfeld", "Orbis", "Pelham", "Quarz", "Rheingau", "Stahlberg", "Tessen", "Ulmer", "Verdan", "Wexford", "Ystad",
    "Zellweg", "Ashcroft", "Brennan", "Castell", "Dornier", "Elmsworth", "Feldmann", "Garrick", "Hesper", "Inglewood", "Kolbe",
)  # fmt: skip
COMPANY_MIDDLES = (
    "Precision", "Motion", "Foods", "Polymer", "Drive", "Casting", "Packaging", "Systems", "Hydraulics", "Optics", "Tooling",
    "Logistics", "Robotics", "Coatings", "Energy", "Medical", "Components", "Instruments", "Fasteners", "Process",
)  # fmt: skip
COMPANY_FORMS = {
    "DE": "GmbH",
    "AT": "GmbH",
    "CH": "AG",
    "US": "Inc.",
    "GB": "Ltd",
    "FR": "SAS",
    "IT": "S.r.l.",
    "NL": "B.V.",
    "PL": "Sp. z o.o.",
    "KR": "Co., Ltd.",
}


class Role(NamedTuple):
    """A job: title, department, seniority, weight, and how likely such a person is to take part in buying (0–1)."""

    title: str
    department: str
    seniority: str
    weight: int
    fit: float


ROLES = (
    Role("Plant Manager", "Operations", "manager", 12, 0.9),
    Role("Head of Production", "Operations", "director", 9, 0.95),
    Role("VP Operations", "Operations", "vp", 5, 1.0),
    Role("COO", "Operations", "c-level", 3, 1.0),
    Role("Maintenance Manager", "Maintenance", "manager", 12, 0.75),
    Role("Maintenance Engineer", "Maintenance", "specialist", 10, 0.45),
    Role("Quality Manager", "Quality", "manager", 7, 0.55),
    Role("CFO", "Finance", "c-level", 5, 0.9),
    Role("VP Finance", "Finance", "vp", 4, 0.85),
    Role("Controller", "Finance", "specialist", 5, 0.4),
    Role("IT Manager", "IT", "manager", 8, 0.7),
    Role("Head of IT", "IT", "director", 5, 0.8),
    Role("CTO", "IT", "c-level", 2, 0.85),
    Role("Energy Manager", "Facilities", "manager", 5, 0.65),
    Role("Purchasing Manager", "Purchasing", "manager", 5, 0.5),
    Role("Automation Engineer", "Engineering", "specialist", 9, 0.4),
    Role("Student", "", "student", 4, 0.0),
    Role("Research Assistant", "Research", "student", 3, 0.05),
)

SOURCES = (
    ("organic_search", 28, 1.0),
    ("paid_search", 20, 1.05),
    ("trade_fair", 12, 1.4),
    ("referral", 9, 1.7),
    ("webinar", 10, 1.3),
    ("social", 9, 0.6),
    ("partner", 6, 1.5),
    ("newsletter", 6, 0.7),
)  # name, weight, how much better or worse than usual its people turn out

PRODUCTS = (("Line Monitor", 24_000), ("Energy Insight", 15_000), ("Sensor Kit", 6_500), ("Service Plan", 4_200))
LOSS_REASONS = (
    ("no budget this year", 30),
    ("chose a competitor", 26),
    ("no decision", 20),
    ("price", 14),
    ("missing feature", 10),
)

PAGES = (
    ("/", 20),
    ("/product/line-monitor", 14),
    ("/product/energy-insight", 9),
    ("/product/sensor-kit", 6),
    ("/pricing", 7),
    ("/customers", 6),
    ("/blog/predict-bearing-failures", 9),
    ("/blog/oee-in-plain-words", 8),
    ("/blog/energy-cost-per-part", 6),
    ("/resources", 5),
    ("/integrations/opc-ua", 4),
    ("/security", 2),
    ("/careers", 2),
    ("/contact", 2),
)
DOWNLOADS = (
    "OEE handbook",
    "Energy audit checklist",
    "Line Monitor data sheet",
    "Business case calculator",
    "Retrofit guide",
)
WEBINARS = ("Downtime in numbers", "Energy cost per part", "From Excel to live OEE", "Retrofit an old line in a day")
VIDEOS = ("Line Monitor in three minutes", "Customer story: Stahlberg Casting", "Sensor Kit unboxing")
NEWSLETTERS = "Shop floor letter"
SALES_PEOPLE = (
    ("Mara Lindqvist", "DACH"),
    ("Jonas Albrecht", "DACH"),
    ("Priya Raman", "International"),
    ("Cole Merritt", "Americas"),
    ("Élise Garnier", "International"),
)
