"""What is kept of sessions: the session itself, used tokens, turns, events, usage, prices, probes. No content."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

# What operators look for. An index of those sessions is built on each: a new value needs a migration.
SLOW_ANSWER_MS = 2_000  # answer latency; past this, people begin to feel that the answer is late
EXPENSIVE_USD = Decimal("0.50")


class RealtimeSessionQuerySet(models.QuerySet["RealtimeSession"]):
    def active(self) -> Self:
        """Those that have not ended."""
        return self.filter(ended_at=None)

    def lease_expired(self, now: datetime) -> Self:
        """Active ones whose process has not renewed the lease: it crashed or was killed."""
        return self.active().filter(lease_until__lt=now)


class RealtimeSession(models.Model):
    """One session, from the redeemed token to its stored end reason."""

    class Modality(models.TextChoices):
        VOICE = "voice", _("voice")
        TEXT = "text", _("text")

    id = models.UUIDField(_("id"), primary_key=True, editable=False)  # chosen when the token is minted
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="realtime_sessions",
    )
    conversation = models.ForeignKey(
        "conversations.Conversation",
        verbose_name=_("conversation"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="realtime_sessions",
    )
    modality = models.CharField(_("modality"), max_length=8, choices=Modality.choices)
    engine = models.CharField(
        _("engine"), max_length=16
    )  # "openai", "local" or "other", from the upstream's host
    model = models.CharField(_("model"), max_length=80)
    voice = models.CharField(_("voice"), max_length=40, blank=True)
    started_at = models.DateTimeField(_("beginning"), auto_now_add=True, db_index=True)
    ended_at = models.DateTimeField(_("end"), null=True, blank=True, db_index=True)
    end_reason = models.CharField(_("end reason"), max_length=40, blank=True, db_index=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=80, blank=True)
    auth_hash = models.CharField(
        max_length=64, blank=True
    )  # of the login that minted it; a new password ends it
    # Of the cookie session that minted it; empty for programs. It opens the site, so it is shown nowhere.
    login_key = models.CharField(max_length=40, blank=True, db_index=True, editable=False)
    turns = models.PositiveIntegerField(_("answers"), default=0)
    interruptions = models.PositiveIntegerField(_("interruptions"), default=0)
    reconnects_browser = models.PositiveIntegerField(_("reconnects of the browser"), default=0)
    reconnects_upstream = models.PositiveIntegerField(_("reconnects of the upstream"), default=0)
    audio_in_ms = models.PositiveIntegerField(_("audio in, ms"), default=0)
    audio_out_ms = models.PositiveIntegerField(_("audio out, ms"), default=0)
    dropped_ms = models.PositiveIntegerField(_("microphone audio lost, ms"), default=0)
    first_audio_ms = models.PositiveIntegerField(_("first sound heard, ms"), null=True, blank=True)
    # Of the connection to the page, as the page measured it: median and slow round trips, and how they vary.
    rtt_ms = models.PositiveIntegerField(_("round trip, median, ms"), null=True, blank=True)
    rtt_p95_ms = models.PositiveIntegerField(_("round trip, slow, ms"), null=True, blank=True)
    jitter_ms = models.PositiveIntegerField(_("jitter, ms"), null=True, blank=True)
    user_agent = models.CharField(_("what the browser calls itself"), max_length=200, blank=True)
    # What it says of itself in two words each, for lists and filters.
    browser = models.CharField(_("browser"), max_length=40, blank=True, db_index=True)
    device = models.CharField(_("device"), max_length=40, blank=True, db_index=True)
    # Sums over the rows that belong to it, kept here so that lists can filter by them.
    errors = models.PositiveIntegerField(_("errors"), default=0)
    slowest_ms = models.PositiveIntegerField(
        _("longest answer latency, ms"), null=True, blank=True
    )  # the longest answer latency
    cost_usd = models.DecimalField(_("cost, USD"), max_digits=14, decimal_places=8, default=Decimal(0))
    cost_complete = models.BooleanField(
        _("every price is known"), default=True
    )  # False: some usage has no known price

    objects = RealtimeSessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes = [
            models.Index(fields=["user", "-started_at"]),
            models.Index(fields=["ended_at", "lease_until"]),
            models.Index(fields=["errors", "-started_at"]),
            models.Index(fields=["slowest_ms"]),
            models.Index(fields=["cost_usd"]),
            models.Index(fields=["cost_complete", "-started_at"]),
            models.Index(fields=["model", "-started_at"]),
            # The latest of many slow ones, without sorting them all.
            models.Index(
                fields=["-started_at"],
                condition=models.Q(slowest_ms__gt=SLOW_ANSWER_MS),
                name="slow_sessions",
            ),
            models.Index(
                fields=["-started_at"],
                condition=models.Q(cost_usd__gte=EXPENSIVE_USD),
                name="expensive_sessions",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class HourFigures(models.Model):
    """What the sessions of one settled hour came to, as `hours.Figures`: for the dashboard. Can be made again."""

    hour = models.DateTimeField(primary_key=True)  # its beginning, UTC
    figures = models.JSONField()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M}"


class UsedToken(models.Model):
    """The id of a session token that was redeemed. Unique: the insert is what makes tokens single-use."""

    jti = models.CharField(max_length=43, primary_key=True)
    session_id = models.UUIDField()
    used_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return self.jti[:6]


class SiteLock(models.Model):
    """A row that a process locks while it does what only one of them may do (see `ownership.py`)."""

    name = models.CharField(max_length=20, primary_key=True)

    def __str__(self) -> str:
        return self.name


class Turn(models.Model):
    """The timings of one answered turn, in ms. Marks are null when the turn did not reach them."""

    session = models.ForeignKey(
        RealtimeSession, verbose_name=_("session"), on_delete=models.CASCADE, related_name="turn_rows"
    )
    response_id = models.CharField(_("response"), max_length=64)
    item_id = models.CharField(_("item"), max_length=64, blank=True)
    status = models.CharField(_("status"), max_length=20)
    created_at = models.DateTimeField(_("time"), auto_now_add=True, db_index=True)
    # Since the session began, by the relay's clock.
    input_ended_ms = models.IntegerField(
        _("end of speech told, ms"), null=True
    )  # speech stopped, or the typed message came
    response_created_ms = models.IntegerField(_("answer began, ms"), null=True)
    # Durations.
    silence_ms = models.IntegerField(
        _("silence waited for, ms"), null=True
    )  # that turn detection waited for before "speech stopped"
    endpointing_ms = models.IntegerField(
        _("until the answer began, ms"), null=True
    )  # speech stopped -> response created
    first_delta_ms = models.IntegerField(
        _("until its first sound, ms"), null=True
    )  # response created -> first audio delta
    playout_start_ms = models.IntegerField(
        _("until it was heard, ms"), null=True
    )  # first audio delta -> first sample heard
    # The answer latency, the four above together: end of speech (its silence included) -> first sample heard.
    response_latency_ms = models.IntegerField(_("answer latency, ms"), null=True)
    heard_ms = models.IntegerField(_("heard, ms"), null=True)
    generated_ms = models.IntegerField(_("made, ms"), null=True)

    class Meta:
        verbose_name = _("turn")
        verbose_name_plural = _("turns")
        constraints = [
            models.UniqueConstraint(fields=["session", "response_id"], name="one_turn_per_response")
        ]
        indexes = [models.Index(fields=["response_latency_ms"])]

    def __str__(self) -> str:
        return f"{self.session_id}/{self.response_id}"


class SessionEvent(models.Model):
    """Something that happened in a session, by name and numbers; never what was said."""

    session = models.ForeignKey(
        RealtimeSession, verbose_name=_("session"), on_delete=models.CASCADE, related_name="events"
    )
    at_ms = models.PositiveIntegerField(_("at, ms"))  # since the session began
    name = models.CharField(_("name"), max_length=60)
    data = models.JSONField(_("data"), default=dict)
    key = models.UUIDField(null=True, unique=True, editable=False)  # the journal's: a replay adds nothing

    class Meta:
        verbose_name = _("session event")
        verbose_name_plural = _("session events")
        indexes = [models.Index(fields=["session", "at_ms"]), models.Index(fields=["name", "id"])]

    def __str__(self) -> str:
        return self.name


class Recording(models.Model):
    """That audio of a session is kept, until when, and where. The file goes with the row (see `recordings.py`)."""

    session = models.OneToOneField(
        RealtimeSession, on_delete=models.CASCADE, primary_key=True, related_name="recording"
    )
    conversation = models.ForeignKey(
        "conversations.Conversation", on_delete=models.CASCADE, related_name="recordings"
    )
    file = models.CharField(max_length=100)  # its name in the storage "recordings"
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("recording")
        verbose_name_plural = _("recordings")

    def __str__(self) -> str:
        return str(self.session_id)


class UsageRecord(models.Model):
    """What one response, one transcription or one minute of a session used. Rows are never changed.

    An answer that was cut off before the upstream told is charged by our own count (`estimated`).
    """

    class Meter(models.TextChoices):
        RESPONSE = "response", _("response")
        TRANSCRIPTION = "transcription", _("transcription")
        SESSION_TIME = "session_time", _("minute")

    session = models.ForeignKey(
        RealtimeSession, verbose_name=_("session"), on_delete=models.CASCADE, related_name="usage"
    )
    meter = models.CharField(_("meter"), max_length=16, choices=Meter.choices)
    reference = models.CharField(_("reference"), max_length=64)  # response id, item id, or which minute
    created_at = models.DateTimeField(_("time"), auto_now_add=True, db_index=True)
    text_in = models.PositiveIntegerField(_("text in"), default=0)
    audio_in = models.PositiveIntegerField(_("audio in"), default=0)
    cached_text = models.PositiveIntegerField(_("text in, cached"), default=0)
    cached_audio = models.PositiveIntegerField(_("audio in, cached"), default=0)
    text_out = models.PositiveIntegerField(_("text out"), default=0)
    audio_out = models.PositiveIntegerField(_("audio out"), default=0)
    seconds = models.FloatField(_("seconds"), default=0)
    image_in = models.PositiveIntegerField(_("images in"), default=0)
    cached_image = models.PositiveIntegerField(_("images in, cached"), default=0)
    reasoning_out = models.PositiveIntegerField(
        _("reasoning out"), default=0
    )  # a part of text_out, not in addition to it
    model = models.CharField(_("model"), max_length=80, blank=True)
    usd = models.DecimalField(
        _("USD"), max_digits=14, decimal_places=8, null=True
    )  # None: the price was not known
    rate_card = models.ForeignKey(
        "RateCard", verbose_name=_("rate card"), on_delete=models.PROTECT, null=True, related_name="usage"
    )
    estimated = models.BooleanField(
        _("by our own count"), default=False
    )  # cut off before the upstream told: at most so much

    class Meta:
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")
        constraints = [
            models.UniqueConstraint(
                fields=["session", "meter", "reference"], name="one_usage_row_per_reference"
            )
        ]
        indexes = [models.Index(fields=["model", "id"])]

    def __str__(self) -> str:
        return f"{self.meter} {self.reference}"


class UsageDay(models.Model):
    """That the usage rows of a day are summed up in `UsageSum` (see `usage_days.py`). Can be made again."""

    day = models.DateField(primary_key=True)  # of the site's time zone

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"


class UsageSum(models.Model):
    """What one person used of one model on one day: sums over the usage rows that were written then."""

    day = models.ForeignKey(UsageDay, on_delete=models.CASCADE, related_name="sums")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="usage_sums")
    model = models.CharField(max_length=80, blank=True)
    rows = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)  # rows without a known price
    answers = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0)  # of sessions
    usd = models.DecimalField(max_digits=18, decimal_places=8, default=Decimal(0))
    text_in = models.PositiveBigIntegerField(default=0)
    audio_in = models.PositiveBigIntegerField(default=0)
    image_in = models.PositiveBigIntegerField(default=0)
    cached_text = models.PositiveBigIntegerField(default=0)
    cached_audio = models.PositiveBigIntegerField(default=0)
    cached_image = models.PositiveBigIntegerField(default=0)
    text_out = models.PositiveBigIntegerField(default=0)
    audio_out = models.PositiveBigIntegerField(default=0)
    reasoning_out = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "user", "model"], name="one_sum_per_day_user_and_model")
        ]

    def __str__(self) -> str:
        return f"{self.day_id}/{self.user_id}/{self.model}"


class RateCard(models.Model):
    """The prices of one model from a date on, in USD per million tokens, or per minute. Unknown ones are null."""

    engine = models.CharField(_("engine"), max_length=16, default="openai")
    model = models.CharField(_("model"), max_length=80)
    valid_from = models.DateTimeField(_("valid from"))
    text_in = models.DecimalField(_("text in"), max_digits=12, decimal_places=6, null=True, blank=True)
    text_cached = models.DecimalField(
        _("text in, cached"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    text_out = models.DecimalField(_("text out"), max_digits=12, decimal_places=6, null=True, blank=True)
    audio_in = models.DecimalField(_("audio in"), max_digits=12, decimal_places=6, null=True, blank=True)
    audio_cached = models.DecimalField(
        _("audio in, cached"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    audio_out = models.DecimalField(_("audio out"), max_digits=12, decimal_places=6, null=True, blank=True)
    image_in = models.DecimalField(_("images in"), max_digits=12, decimal_places=6, null=True, blank=True)
    image_cached = models.DecimalField(
        _("images in, cached"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    per_minute = models.DecimalField(
        _("a minute of transcription"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    # Of the session itself, beside its tokens. Null: the provider asks nothing for it.
    session_per_minute = models.DecimalField(
        _("a minute of the session"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("rate card")
        verbose_name_plural = _("rate cards")
        ordering = ("engine", "model", "-valid_from")
        constraints = [
            models.UniqueConstraint(fields=["engine", "model", "valid_from"], name="one_rate_card_per_date")
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from:%Y-%m-%d}"


class ProbeRun(models.Model):
    """One run of the probe, from the command or the admin's button: stages with their times, never what was said."""

    started_at = models.DateTimeField(_("time"), auto_now_add=True, db_index=True)
    ok = models.BooleanField(_("success"))
    fault = models.CharField(_("fault"), max_length=40, blank=True)
    url = models.CharField(_("address"), max_length=200)
    model = models.CharField(_("model"), max_length=80)
    total_ms = models.PositiveIntegerField(_("whole time, ms"))
    stages = models.JSONField(_("stages"), default=list)
    by = models.CharField(
        _("run by"), max_length=150, blank=True
    )  # user name of who pressed the button; empty: the command

    class Meta:
        verbose_name = _("probe run")
        verbose_name_plural = _("probe runs")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} {self.fault or 'ok'}"


class Budget(models.Model):
    """How much may be used in a period. What is used is counted from the sessions themselves (see `budgets.py`)."""

    class Scope(models.TextChoices):
        EACH = "each", _("each person")
        ONE = "one", _("one person, instead of what each has")
        SITE = "site", _("the whole site")

    class Period(models.TextChoices):
        DAY = "day", _("day")
        MONTH = "month", _("month")

    scope = models.CharField(_("scope"), max_length=8, choices=Scope.choices)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="budgets",
    )
    period = models.CharField(_("period"), max_length=8, choices=Period.choices)
    minutes = models.PositiveIntegerField(
        _("minutes"), null=True, blank=True
    )  # of voice sessions; null: no limit
    usd = models.DecimalField(
        _("USD"), max_digits=10, decimal_places=2, null=True, blank=True
    )  # null: no limit

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "period"],
                condition=models.Q(user=None),
                name="one_general_budget_per_period",
            ),
            models.UniqueConstraint(fields=["user", "period"], name="one_own_budget_per_period"),
            models.CheckConstraint(
                condition=models.Q(scope="one", user__isnull=False)
                | (~models.Q(scope="one") & models.Q(user__isnull=True)),
                name="a_budget_of_one_names_the_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope}/{self.period}"


class Hold(models.Model):
    """What is held of the budgets for something that may be charged and is not settled yet (see `holds.py`)."""

    session = models.ForeignKey(
        RealtimeSession, verbose_name=_("session"), on_delete=models.CASCADE, related_name="holds"
    )
    reference = models.CharField(
        _("for what"), max_length=32
    )  # "answer_3", or "stretch" for the time of the call
    usd = models.DecimalField(_("USD"), max_digits=14, decimal_places=8, default=Decimal(0))
    seconds = models.PositiveIntegerField(_("seconds"), default=0)  # of the call, from its beginning
    made_at = models.DateTimeField(_("time"), auto_now_add=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        constraints = [
            models.UniqueConstraint(fields=["session", "reference"], name="one_hold_per_reference")
        ]

    def __str__(self) -> str:
        return f"{self.session_id}/{self.reference}"
