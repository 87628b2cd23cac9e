"""Which policy decides for which tenant, and every policy that ever did, by version.

A batch takes one reference to a `Policy` and keeps it, so each decision is computed by exactly one version, whatever is reloaded
meanwhile. A file that does not pass its checks changes nothing and says why.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from rules.canary import check_in_subprocess
from rules.compiled import CompiledPolicy
from rules.compiler import compile_policy
from rules.decide import Decider
from rules.engine import EngineFaultError
from rules.source import PolicyInvalidError, check_policy, content_hash, read_policy
from server.documents import DocumentRefusedError, documents_of_tenants, read_document
from server.errors import ReplayUnavailableError
from server.road.world import Policy
from server.store.connection import Store
from server.store.keys import TENANTS_KEY, policy_key
from server.worker import Worker

SHIPPED = Path(__file__).resolve().parent.parent / "rules" / "policies" / "default.yaml"
KEPT_COMPILED = 256
CANARY_SECONDS = 20.0
log = structlog.get_logger()


class PolicyFiles(NamedTuple):
    """Where policies are read from: one for everybody, and a folder with `<tenant>.yaml` for those with their own."""

    common: Path
    folder: Path | None

    def all(self) -> dict[str, Path]:
        """Return every file by tenant; "" is everybody else. Raises OSError when the folder is gone: its tenants would be anybody."""
        own = documents_of_tenants(self.folder, "policies") if self.folder else {}
        own = {tenant: path for tenant, path in own.items() if not tenant.endswith("_test")}
        return {"": self.common, **own}


class PolicyShelf:
    """Holds the policies in use; `reload` swaps them."""

    def __init__(self, files: PolicyFiles, client: Store, worker: Worker, tenant_time_zone: str) -> None:
        self._files = files
        self._client = client
        self._worker = worker
        self._zone = tenant_time_zone
        self._active: dict[str, Policy] = {}
        self._compiled: OrderedDict[tuple[str, str], CompiledPolicy] = OrderedDict()  # by version and zone
        self._published: set[tuple[str, str]] = set()

    def policy_of(self, tenant: str) -> Policy:
        """Return the policy that decides for a tenant."""
        return self._active.get(tenant) or self._active[""]

    async def load(self) -> None:
        """Read every policy at start; raises DocumentRefusedError or OSError for one that cannot be used."""
        for tenant, path in self._files.all().items():
            try:
                self._active[tenant] = await self._prepare(path)
            except PolicyInvalidError as error:
                log.error("policy_refused", tenant=tenant or "*", file=str(path))  # noqa: TRY400 (the caller says why)
                raise DocumentRefusedError(path, error) from error

    async def reload(self, batch_over: Callable[[], Awaitable[None]]) -> None:
        """Read every policy again; a file that cannot be used keeps the policy before it, and says so in the log.

        `batch_over` returns once no batch holds the policies before: until then they keep their engines.
        """
        try:
            files = self._files.all()
        except OSError as error:
            log.error("policy_kept", tenant="*", error=str(error))  # noqa: TRY400 (the reason is the message)
            return
        replaced: list[Policy] = []
        for tenant, path in files.items():
            try:
                fresh = await self._prepare(path)
            except (PolicyInvalidError, OSError, EngineFaultError) as error:
                log.error("policy_kept", tenant=tenant or "*", file=str(path), error=str(error))  # noqa: TRY400
                continue
            except Exception:  # a fault of ours stops no other file
                log.exception("policy_kept", tenant=tenant or "*", file=str(path))
                continue
            before = self._active.get(tenant)
            self._active[tenant] = fresh
            log.info("policy_active", tenant=tenant or "*", name=fresh.name, version=fresh.version)
            if before is not None:
                replaced.append(before)
        for tenant in sorted(self._active.keys() - files.keys()):
            log.info("policy_removed", tenant=tenant)
            replaced.append(self._active.pop(tenant))
        await batch_over()
        for policy in replaced:
            try:
                await self._worker.run(policy.decider.close)
            except EngineFaultError as error:
                log.error("engine_not_freed", version=policy.version, error=str(error))  # noqa: TRY400 (as above)

    async def _prepare(self, path: Path) -> Policy:
        source = read_document(path)
        compiled = await self._worker.run(self._check, source)
        decider = await self._worker.run(Decider, compiled)
        escalation = compiled.document.escalation
        share = escalation.max_share if escalation else 1.0
        return Policy(compiled.name, compiled.version, source, decider, compiled.ceilings, share)

    def _check(self, source: str) -> CompiledPolicy:
        for diagnostic in check_policy(source):
            log.warning("policy_diagnostic", text=str(diagnostic))
        compiled = self._keep(source, self._zone)
        check_in_subprocess(source, CANARY_SECONDS)
        return compiled

    def _keep(self, source: str, zone: str) -> CompiledPolicy:
        document = read_policy(source)
        compiled = compile_policy(document, content_hash(document), zone)
        self._compiled[compiled.version, zone] = compiled
        self._compiled.move_to_end((compiled.version, zone))
        while len(self._compiled) > KEPT_COMPILED:
            self._compiled.popitem(last=False)
        return compiled

    async def compiled(self, tenant: str, version: str, zone: str = "") -> CompiledPolicy:
        """Return a policy by its version, from the store when nobody uses it any more; `zone` is the tenant's, "": as it is set now.

        Raises:
            ReplayUnavailableError: The store does not have it.

        """
        known = self._compiled.get((version, zone or self._zone))
        if known is not None:
            return known
        source = await self._client.get(policy_key(tenant, version))
        if source is None:
            raise ReplayUnavailableError(f"policy {version} is not at hand")
        return self._keep(source.decode(), zone or self._zone)

    async def publish(self, tenant: str, policy: Policy) -> None:
        """Make sure that the store has the policy's text before a decision names its version."""
        if (tenant, policy.version) not in self._published:
            await self._client.set(policy_key(tenant, policy.version), policy.source, nx=True)
            await self._client.sadd(TENANTS_KEY, tenant)
            self._published.add((tenant, policy.version))

    def close(self) -> None:
        """Close every engine; in the worker thread, after the last batch."""
        for policy in self._active.values():
            policy.decider.close()
