"""The composition root: makes every part of a serving process, and closes them in reverse.

Nothing else builds anything; tests that need a whole server start it here, too.
"""

import asyncio
import signal
from collections.abc import Callable

import structlog
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from keepwell.v1 import (
    decision_service_pb2,
    escalation_service_pb2,
    feed_service_pb2,
    lead_service_pb2,
    metrics_service_pb2,
    model_service_pb2,
    outcome_service_pb2,
    policy_service_pb2,
)

from server.activation import Activation
from server.archive import Archive
from server.cold.log import ColdLog
from server.convert.decision import encode_decision
from server.drift import Drift
from server.event_types import EventTypes
from server.feed.consume import Shares
from server.feed.followers import Followers
from server.grpc_options import server_options
from server.interventions import Interventions
from server.models import ModelShelf
from server.overdue import Overdue
from server.policies import SHIPPED, PolicyFiles, PolicyShelf
from server.retention import trim_for_ever
from server.reviews import Reviews
from server.road.clock import ClockGuard
from server.road.road import Road
from server.road.settings import RoadSettings
from server.rpc import service_handler
from server.services.decision_service import DecisionService
from server.services.escalation_service import EscalationService
from server.services.escalation_watch import EscalationWatch
from server.services.feed_service import FeedService
from server.services.feed_start import Starts
from server.services.lead_service import LeadService
from server.services.model_service import ModelService
from server.services.model_upload import ModelUpload
from server.services.outcome_service import OutcomeService
from server.services.subscription_admin import SubscriptionAdmin
from server.services.subscription_service import SubscriptionService
from server.settings import Settings
from server.store.connection import check_store, connect
from server.store.keys import PARTITIONS
from server.store.partition import load_scripts
from server.store_watch import StoreWatch
from server.traces import Traces
from server.worker import Worker

SERVICES = [
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (decision_service_pb2, "DecisionService"),
        (feed_service_pb2, "FeedService"),
        (lead_service_pb2, "LeadService"),
        (outcome_service_pb2, "OutcomeService"),
        (escalation_service_pb2, "EscalationService"),
        (policy_service_pb2, "PolicyService"),
        (model_service_pb2, "ModelService"),
        (metrics_service_pb2, "MetricsService"),
    )
]
log = structlog.get_logger()


class App:
    """One serving process."""

    def __init__(self, settings: Settings, store_url: str) -> None:
        self._settings = settings
        self._store = connect(store_url, timeout_seconds=settings.store_timeout_seconds)
        self._worker = Worker()
        self._draining = asyncio.Event()
        client = self._store.commit
        files = PolicyFiles(settings.policy or SHIPPED, settings.policy_dir)
        self.shelf = PolicyShelf(files, client, self._worker, settings.tenant_time_zone)
        self.event_types = EventTypes(settings.events_dir)
        self._models = ModelShelf(settings.model_dir, client)
        traces = Traces(self.shelf)
        guard = ClockGuard(settings.clock_skew_seconds)
        self._store_watch = StoreWatch(client, settings.store_replicas)
        self._road = Road(
            client,
            _road_settings(settings),
            self.shelf.policy_of,
            self._models.model_of,
            encode_decision,
            guard,
            self._store_watch,
            self._worker,
            self.shelf.publish,
        )
        cold = ColdLog(settings.export_dir)
        archive = Archive(client, self.shelf, self._models, encode_decision, self._worker, PARTITIONS, cold)
        self._decisions = DecisionService(self._road, archive, traces)
        items, stall, draining = traces.feed_items, settings.write_stall_seconds, self._draining
        starts, shares = Starts(client), Shares()
        self._followers = Followers(self._store.blocking, items, PARTITIONS)
        self._feed = FeedService(client, self._followers, starts, items, stall, draining)
        self._subscriptions = SubscriptionService(client, self._followers, starts, shares, items, stall, draining)
        self._subscription_admin = SubscriptionAdmin(client, starts, shares, items)
        self._leads = LeadService(self._road, self.shelf, self.event_types, client)
        retention_ms = settings.log_retention_hours * 3_600_000
        self._activation = Activation(client, self._models, retention_ms)
        self._drift = Drift(client, self._models, self._worker)
        self._model_service = ModelService(
            client,
            self._models,
            self._activation,
            self._drift,
            ModelUpload(client, self._models, retention_ms),
            self.shelf,
            guard,
            self._worker,
        )
        self._outcomes = OutcomeService(self._road, Interventions(client, self.shelf))
        watch = EscalationWatch(client, settings.write_stall_seconds, self._draining)
        self._escalations = EscalationService(self._road, client, watch)
        self._server = aio.server(
            options=server_options(settings.message_bytes, settings.streams_per_connection, settings.processes > 1)
        )
        self._health = health.aio.HealthServicer()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> int:
        """Check the store, load the policies, and listen; return the port once health says SERVING."""
        client = self._store.commit
        facts = await check_store(client, self._settings.store_replicas)
        log.info("store_checked", **facts._asdict())
        await load_scripts(client)
        await self.shelf.load()
        self.event_types.load()
        await self._models.keep_shipped()
        await self._activation.follow()
        self._register()
        port = self._server.add_insecure_port(self._settings.listen)
        self._road.start()
        await self._server.start()
        self._tasks.append(asyncio.create_task(self._store_watch.watch_for_ever()))
        self._tasks.append(asyncio.create_task(trim_for_ever(client, self._settings)))
        self._tasks.append(asyncio.create_task(self._activation.follow_for_ever()))
        self._tasks.append(asyncio.create_task(self._drift.count_for_ever()))
        if self._settings.reviews:
            reviews = Reviews(client, self._road, self._settings.clock)
            overdue = Overdue(client, self._road, self._settings.clock, self.shelf)
            self._tasks.append(asyncio.create_task(reviews.run()))
            self._tasks.append(asyncio.create_task(overdue.run()))
        await self._say(health_pb2.HealthCheckResponse.SERVING)
        return port

    async def reload_policies(self) -> None:
        """Read the policies again; a batch that is on the road is decided by those before."""
        await self.shelf.reload(self._road.batch_over)

    def _register(self) -> None:
        handlers = {
            "DecisionService": self._decisions.handlers,
            "FeedService": {
                **self._feed.handlers,
                **self._subscriptions.handlers,
                **self._subscription_admin.handlers,
            },
            "LeadService": self._leads.handlers,
            "ModelService": self._model_service.handlers,
            "OutcomeService": self._outcomes.handlers,
            "EscalationService": self._escalations.handlers,
        }
        manual = self._settings.clock == "manual"
        self._server.add_generic_rpc_handlers(
            [service_handler(service, handlers.get(service.name, {}), manual_clock=manual) for service in SERVICES]
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [*(service.full_name for service in SERVICES), health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)

    async def _say(self, status: int) -> None:
        for name in ("", *(service.full_name for service in SERVICES)):
            await self._health.set(name, status)

    async def stop(self) -> None:
        """Say NOT_SERVING, let calls end, and close everything."""
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._draining.set()
        await self._server.stop(self._settings.drain_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._road.close()
        await self._followers.close()
        await self._worker.run(self.shelf.close)
        self._worker.close()
        await self._store.aclose()


def _road_settings(settings: Settings) -> RoadSettings:
    return RoadSettings(
        settings.batch_leads,
        settings.batch_wait_ms,
        settings.pending_decisions,
        settings.store_timeout_seconds,
        settings.store_replicas,
        (settings.log_retention_hours + 24) * 3_600,
        PARTITIONS,
        settings.tenant_time_zone,
        settings.assessment_reuse_seconds,
    )


async def serve(settings: Settings, store_url: str, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads the policies and the tenants' types of events."""
    app = App(settings, store_url)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    told_to_reload = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, told_to_reload.set)
    try:
        ready(await app.start())
        reloading = loop.create_task(_reload_when_told(app, told_to_reload))
        await stopping.wait()
        reloading.cancel()
        log.info("draining")
    finally:
        await app.stop()


async def _reload_when_told(app: App, told: asyncio.Event) -> None:
    """Reload whenever told, until cancelled; told again meanwhile, however often, once more."""
    while await told.wait():
        told.clear()
        try:
            app.event_types.reload()
            await app.reload_policies()
        except Exception:
            log.exception("reload_failed")  # a fault of ours: what is in force stays
