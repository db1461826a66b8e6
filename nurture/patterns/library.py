"""The library: programs for the moments that most companies share, each of few steps, with words to begin with."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from nurture import tree
from nurture.patterns.pattern import Letter, Pattern, branch, days, done, mail, morning, step, until

CLICKED = done("email_click", "page_view", "form_submit", within=7)
BOUGHT = {"has": "deal", "where": [{"field": "status", "op": "is", "value": "won"}]}
ANSWERED = done("reply", "meeting", "call", "demo_booked", within=30)
CAME_BACK = done("page_view", "email_click", "form_submit", "webinar_registered", "reply", within=30)

_AFTERWARDS = {
    1: "Five minutes to read; next Tuesday there is more.",
    2: "Five minutes to read; next Tuesday comes the last part.",
    3: "Five minutes to read. This was the last part: what should the next series be about? Just answer.",
}  # of the series, by week

PATTERNS: dict[str, Pattern] = {
    "simple": Pattern(
        _("Three steps: mail, wait, mail"),
        _("The start of most programs. Add a step only when it earns its place."),
        _("whomever you like"),
        {"steps": [step("first-mail", "send_email"), days("pause", 3), step("second-mail", "send_email")]},
    ),
    "welcome": Pattern(
        _("Welcome"),
        _("Say who you are while they remember you, and ask one question."),
        _("people who subscribed or filled in a form"),
        {
            "steps": [
                mail("welcome"),
                days("pause", 2),
                mail("welcome-question"),
                step("mark", "add_tag", tag="welcomed"),
            ]
        },
        (
            Letter(
                "welcome",
                "Welcome 1: what you can expect",
                "Good to have you here",
                "What we send, how often, and how to stop it.",
                (
                    (
                        "thank you for your interest. You hear from us about twice a month, only when there is "
                        "something worth your time."
                    ),
                    "To begin with, here is the page that newcomers read most.",
                ),
                ("Read it", "start"),
            ),
            Letter(
                "welcome-question",
                "Welcome 2: one question",
                "One question, {{ contact.first_name | default: 'if you have a minute' }}",
                "Answering this mail is enough.",
                (
                    "what made you look at us? One line helps me to send you the right things and to spare you the rest.",
                    "Just answer this mail; I read every one.",
                ),
            ),
        ),
    ),
    "education": Pattern(
        _("Education drip"),
        _("Teach in three short lessons; who goes on clicking is handed to sales."),
        _("people who know the problem but not yet the way out"),
        {
            "steps": [
                mail("lesson-problem"),
                days("pause-1", 4),
                mail("lesson-ways"),
                days("pause-2", 4),
                mail("lesson-choice"),
                days("pause-3", 4),
                branch(
                    "keen",
                    done("email_click", "page_view", within=14),
                    yes=[step("to-sales", "hand_to_sales")],
                    no=[step("mark", "add_tag", tag="lessons-read")],
                ),
            ]
        },
        (
            Letter(
                "lesson-problem",
                "Lesson 1: what it costs to do nothing",
                "What it costs to leave it as it is",
                "Three figures to look up in your own company.",
                (
                    (
                        "most teams feel the problem long before they can put a figure on it. Here are three that "
                        "you can look up in an hour."
                    ),
                    "They decide whether this is worth your time at all.",
                ),
                ("See the three figures", "lesson-1"),
            ),
            Letter(
                "lesson-ways",
                "Lesson 2: the ways out",
                "Four ways out, and what each asks of you",
                "One of them costs nothing.",
                (
                    (
                        "there are four ways to deal with it, and ours is only one of them. The comparison says "
                        "for whom each is right, and for whom it is not."
                    ),
                ),
                ("Compare the four", "lesson-2"),
            ),
            Letter(
                "lesson-choice",
                "Lesson 3: how to choose",
                "Seven questions before you sign anything",
                "Take them into any sales call, ours too.",
                ("these are the questions that buyers told us they wished they had asked. The list fits on one page.",),
                ("Get the list", "lesson-3"),
            ),
        ),
    ),
    "series": Pattern(
        _("Weekly topic series"),
        _("One topic, one mail a week, always on the same morning; who drops in later begins at the first."),
        _("people who asked for the series"),
        {
            "steps": [
                morning("tuesday-1", 2),
                mail("series-1"),
                morning("tuesday-2", 2),
                mail("series-2"),
                morning("tuesday-3", 2),
                mail("series-3"),
            ]
        },
        tuple(
            Letter(
                f"series-{number}",
                f"Series, week {number}",
                subject,
                preheader,
                (text, _AFTERWARDS[number]),
                ("Read this week's part", f"series-{number}"),
            )
            for number, subject, preheader, text in (
                (
                    1,
                    "Week 1: where to begin",
                    "The smallest step that shows something.",
                    "this week: how to find the smallest step that shows a result.",
                ),
                (
                    2,
                    "Week 2: what usually goes wrong",
                    "And how to see it coming.",
                    "most attempts fail for the same reasons. How to see them coming.",
                ),
                (
                    3,
                    "Week 3: how to keep it going",
                    "After the first month.",
                    "the first month is easy. What keeps it alive in the second.",
                ),
            )
        ),
    ),
    "objections": Pattern(
        _("Answers to objections"),
        _("Take the three reasons not to buy one at a time, with proof instead of claims."),
        _("people with an open deal that does not move"),
        {
            "steps": [
                mail("objection-price"),
                days("pause-1", 5),
                mail("objection-effort"),
                days("pause-2", 5),
                mail("objection-risk"),
                step(
                    "tell",
                    "notify",
                    whom="owner",
                    text="{{ contact.full_name }} has had our three answers to objections. A good moment to call.",
                ),
            ]
        },
        (
            Letter(
                "objection-price",
                "Objection: too expensive",
                "“Too expensive”: the sum behind it",
                "What it costs, what it saves, after how long.",
                (
                    (
                        "“too expensive” is a fair thing to say as long as only one side of the sum is on the "
                        "table. Here are both, with the figures of a company of your size."
                    ),
                ),
                ("See the sum", "costs"),
            ),
            Letter(
                "objection-effort",
                "Objection: too much work",
                "“We have no time for this”",
                "Who does what in the first two weeks.",
                (
                    (
                        "the first two weeks are the part that people fear. This is the plan, day by day: how many "
                        "hours of yours it takes, and what we do."
                    ),
                ),
                ("See the plan", "first-weeks"),
            ),
            Letter(
                "objection-risk",
                "Objection: what if it does not work",
                "And if it does not work out?",
                "How you get out, with your data.",
                (
                    (
                        "you can leave at the end of any month and take your data along. Here is how that goes, in "
                        "the words of somebody who did it."
                    ),
                ),
                ("Read it", "leaving"),
            ),
        ),
        {"exit": {"conditions": BOUGHT}},
    ),
    "check-in": Pattern(
        _("Check-in"),
        _("A short question to people who went quiet, and a task for their owner when they answer it with a click."),
        _("people without any sign for two months"),
        {
            "steps": [
                morning("morning"),
                mail("check-in"),
                until(
                    "answer",
                    CLICKED,
                    7,
                    yes=[step("call", "create_task", title="Answered the check-in: call while it is fresh", days=2)],
                    no=[],
                ),
            ]
        },
        (
            Letter(
                "check-in",
                "Check-in",
                "Still on your list, {{ contact.first_name | default: 'or not' }}?",
                "One click is an answer, too.",
                (
                    "some time ago you looked into this. Is it still on your list, or has something else come first? Both is fine.",
                    "If it still matters, this page shows what has changed since.",
                ),
                ("It still matters", "news"),
            ),
        ),
        {"again": {"days": 180}},
    ),
    "webinar": Pattern(
        _("Webinar invitation"),
        _("Invite, and remind those who did not register; the goal is a registration."),
        _("people who fit and are not registered yet"),
        {
            "steps": [
                mail("webinar-invitation"),
                until(
                    "registered",
                    done("webinar_registered", within=30),
                    5,
                    yes=[step("mark", "add_tag", tag="webinar-registered")],
                    no=[morning("morning"), mail("webinar-reminder")],
                ),
            ]
        },
        (
            Letter(
                "webinar-invitation",
                "Webinar: invitation",
                "You are invited: 45 minutes, live",
                "What you can do afterwards that you cannot do now.",
                (
                    "we show it live, with real data, and answer every question. Afterwards you can do the first step on your own.",
                    "It takes 45 minutes; the recording goes to everybody who registers.",
                ),
                ("Keep me a seat", "webinar"),
            ),
            Letter(
                "webinar-reminder",
                "Webinar: reminder",
                "There is still a seat for you",
                "Register even if you cannot come: you get the recording.",
                (
                    "there is still a seat. If the hour does not suit you, register anyway: the recording comes the day after.",
                ),
                ("Register", "webinar"),
            ),
        ),
        {"goal": {"conditions": done("webinar_registered", within=30), "then": "registered", "days": 30}},
    ),
    "post-demo": Pattern(
        _("After the demo"),
        _("Thank within a day, answer what is asked most, and tell the owner who went quiet."),
        _("people who had a demo"),
        {
            "steps": [
                days("pause-1", 1),
                mail("demo-thanks"),
                days("pause-2", 4),
                mail("demo-questions"),
                until(
                    "answered",
                    ANSWERED,
                    7,
                    yes=[],
                    no=[
                        step(
                            "tell",
                            "notify",
                            whom="owner",
                            text="{{ contact.full_name }} ({{ company.name }}) has been quiet since the demo.",
                        )
                    ],
                ),
            ]
        },
        (
            Letter(
                "demo-thanks",
                "After the demo 1: thanks and summary",
                "Thank you, and what we showed",
                "For you, and for whoever was not there.",
                (
                    "thank you for your time. The page behind the button sums up what we showed; it is made to be passed on.",
                    "What was missing? Just answer this mail.",
                ),
                ("Open the summary", "demo-summary"),
            ),
            Letter(
                "demo-questions",
                "After the demo 2: what others ask",
                "What others ask after the demo",
                "Price, data, time: short answers.",
                (
                    (
                        "after a demo three things are asked most: what it costs, where the data lie, how long it "
                        "takes. The short answers are here."
                    ),
                ),
                ("Read the answers", "answers"),
            ),
        ),
        {"exit": {"conditions": BOUGHT}},
    ),
    "win-back": Pattern(
        _("Win back"),
        _("Two mails to customers or leads who were lost; who reacts goes to sales, who does not is left alone."),
        _("people whose deal was lost half a year ago"),
        {
            "steps": [
                mail("win-back-news"),
                until(
                    "interest",
                    CAME_BACK,
                    10,
                    yes=[step("to-sales", "hand_to_sales")],
                    no=[
                        mail("win-back-last"),
                        until(
                            "last",
                            CAME_BACK,
                            10,
                            yes=[step("to-sales-late", "hand_to_sales")],
                            no=[step("rest", "add_tag", tag="left-alone")],
                        ),
                    ],
                ),
            ]
        },
        (
            Letter(
                "win-back-news",
                "Win back 1: what has changed",
                "What has changed since we last spoke",
                "Three things, one of them was your reason.",
                (
                    (
                        "when we last spoke it was not the right moment, or we were not the right answer. Since "
                        "then three things have changed."
                    ),
                ),
                ("See what is new", "news"),
            ),
            Letter(
                "win-back-last",
                "Win back 2: the last one",
                "The last mail about this",
                "Unless you want more of them.",
                (
                    "I do not want to be the sender whose mails you skip. This is the last one about this topic.",
                    "If it should come back on your table one day, here is the way to us.",
                ),
                ("Talk to us", "contact"),
            ),
        ),
        {"again": {"days": 365}},
    ),
    "reward": Pattern(
        _("Reward at a milestone"),
        _("Say thank you when something is reached, and only then ask for anything."),
        _("customers who reached a milestone (a year, a hundred orders …)"),
        {
            "steps": [
                morning("morning"),
                mail("reward"),
                step("mark", "add_tag", tag="rewarded"),
                step("tell", "create_task", title="Send a card: they reached a milestone", days=5),
            ]
        },
        (
            Letter(
                "reward",
                "Reward: thank you",
                "{{ contact.first_name | default: 'Thank you' }}, this one is on us",
                "You reached something; we noticed.",
                (
                    "you have reached a milestone with us, and we did not want to let it pass in silence. Thank you for the trust.",
                    "As a sign of it, there is something for you behind the button. No strings.",
                ),
                ("Open it", "thank-you"),
            ),
        ),
        {"again": {"days": 365}},
    ),
    "seasonal": Pattern(
        _("Seasonal"),
        _("One offer before the season, one reminder before it ends; the mails leave on the contact's own morning."),
        _("people for whom the season matters"),
        {
            "steps": [
                morning("morning"),
                mail("season-start"),
                days("pause", 10),
                branch(
                    "acted",
                    done("email_click", "purchase", within=14),
                    yes=[],
                    no=[morning("again"), mail("season-end")],
                ),
            ]
        },
        (
            Letter(
                "season-start",
                "Season 1: before it begins",
                "Before the season begins",
                "What to have ready, and by when.",
                (
                    (
                        "in a few weeks everybody wants the same thing at the same time. Whoever is ready before "
                        "has the quiet weeks. Here is the list."
                    ),
                ),
                ("See the list", "season"),
            ),
            Letter(
                "season-end",
                "Season 2: the last days",
                "Still possible until Friday",
                "After that it takes until next year.",
                ("this is the short version: it still works this week. After that it takes until next year.",),
                ("Do it now", "season"),
            ),
        ),
        {"again": {"days": 300}},
    ),
    "up-sell": Pattern(
        _("Up-sell"),
        _("Show customers who outgrow what they have what the next size gives them; ask their owner to talk."),
        _("customers near the limits of their plan"),
        {
            "steps": [
                mail("up-sell"),
                until(
                    "interest",
                    CLICKED,
                    7,
                    yes=[step("talk", "create_task", title="Looked at the next size: talk about their growth", days=2)],
                    no=[],
                ),
            ]
        },
        (
            Letter(
                "up-sell",
                "Up-sell: the next size",
                "You are growing out of it",
                "What the next size changes, and what it costs.",
                (
                    (
                        "you use almost all of what you have, which is a good sign. Before it gets tight: this is "
                        "what the next size changes, and for whom it is too much."
                    ),
                ),
                ("Compare the two", "sizes"),
            ),
        ),
        {"again": {"days": 180}},
    ),
    "cross-sell": Pattern(
        _("Cross-sell"),
        _("Introduce the one thing that customers like them use next, after they have settled in."),
        _("customers of one product for three months"),
        {
            "steps": [
                morning("morning"),
                mail("cross-sell"),
                days("pause", 5),
                branch("interest", CLICKED, yes=[step("to-sales", "hand_to_sales")], no=[mail("cross-sell-story")]),
            ]
        },
        (
            Letter(
                "cross-sell",
                "Cross-sell 1: what others add",
                "What companies like yours add next",
                "One thing, not ten.",
                (
                    (
                        "most companies that use what you use add one thing within the first year. This is what it "
                        "does, in two minutes."
                    ),
                ),
                ("See it in two minutes", "next"),
            ),
            Letter(
                "cross-sell-story",
                "Cross-sell 2: a story",
                "How {{ company.name | default: 'a company like yours' }} could use it",
                "A customer tells it in their own words.",
                (
                    (
                        "here is how a customer put the two together: what it took, what came of it, and what they "
                        "would do differently."
                    ),
                ),
                ("Read the story", "story"),
            ),
        ),
        {"goal": {"conditions": done("purchase", within=60), "days": 60}},
    ),
    "down-sell": Pattern(
        _("Down-sell"),
        _("Offer the smaller size to whoever is about to say no: better a small customer than none."),
        _("people whose deal was lost for its price"),
        {
            "steps": [
                days("pause", 7),
                mail("down-sell"),
                until(
                    "interest",
                    CLICKED,
                    10,
                    yes=[step("to-sales", "hand_to_sales")],
                    no=[step("mark", "add_tag", tag="too-early")],
                ),
            ]
        },
        (
            Letter(
                "down-sell",
                "Down-sell: begin smaller",
                "Or begin smaller",
                "The part that you need, at a third of the price.",
                (
                    (
                        "what we offered was more than you need now. There is a smaller beginning: the part you "
                        "asked about, without the rest. You can add it later, and nothing is lost."
                    ),
                ),
                ("See the small one", "small"),
            ),
        ),
        {"exit": {"conditions": BOUGHT}},
    ),
    "review": Pattern(
        _("Review, then referral"),
        _("Ask happy customers for a review; ask only those who reacted whom else they know."),
        _("customers for half a year who gave a good mark"),
        {
            "steps": [
                morning("morning"),
                mail("review"),
                until(
                    "reviewed",
                    CLICKED,
                    14,
                    yes=[days("pause", 14), mail("referral"), step("mark", "change_stage", to="advocate")],
                    no=[],
                ),
            ]
        },
        (
            Letter(
                "review",
                "Review request",
                "Two sentences from you",
                "They help others more than anything we write.",
                (
                    (
                        "you have been with us for a while. Would you tell others how it is, in two sentences? The "
                        "good and the bad: both help people decide."
                    ),
                ),
                ("Write two sentences", "review"),
            ),
            Letter(
                "referral",
                "Referral request",
                "Who else has this problem?",
                "A name is enough; we write with care.",
                (
                    "thank you for your words. One more question: who do you know who has the problem that you had?",
                    "Forward this mail, or answer with a name. We mention you only if you want us to.",
                ),
            ),
        ),
        {"again": {"days": 365}},
    ),
    "hand-over": Pattern(
        _("Follow-up of the hand-over"),
        _("After the lead went to sales: introduce the owner, and tell them when nothing has happened."),
        _("people at the stage MQL"),
        {
            "steps": [
                mail("hand-over"),
                until(
                    "spoken",
                    ANSWERED,
                    5,
                    yes=[],
                    no=[
                        step(
                            "tell",
                            "notify",
                            whom="owner",
                            text=(
                                "No call and no answer yet: {{ contact.full_name }}, {{ contact.title | default: 'title "
                                "unknown' }}, {{ company.name | default: 'company unknown' }}."
                            ),
                        )
                    ],
                ),
            ]
        },
        (
            Letter(
                "hand-over",
                "Hand-over: your contact",
                "Your contact here: {{ owner.name | default: workspace.sender_name }}",
                "A person, not a form.",
                (
                    "from now on you have one person to turn to. I have read what you asked and will call you in the next days.",
                    "If you would rather choose the hour yourself, do it here.",
                ),
                ("Choose an hour", "calendar"),
            ),
        ),
        {"exit": {"when": "no_member"}},
    ),
    "empty": Pattern(
        _("Nothing: I build it myself"), _("An empty canvas with one +."), _("whomever you like"), tree.empty()
    ),
}
