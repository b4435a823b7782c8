/** Which VFIO driver suits a device best: the most specific `vfio_pci:` line of the kernel's modules.alias. */
import type { Reader } from './reader.ts';

/** A function from a PCI modalias (`pci:v00008086d...`) to a driver name; null where no line matches. */
export function readVariantDrivers(
  reader: Reader,
  release: string,
): (modalias: string) => string | null {
  const path = `/lib/modules/${release}/modules.alias`;
  const lines = (reader.text(path, null) ?? '').split('\n');
  const aliases = lines.flatMap((line) => {
    const [, pattern, module] = /^alias vfio_pci:(\S+) (\S+)$/.exec(line) ?? [];
    return pattern === undefined || module === undefined ? [] : [{ pattern, module }];
  });
  if (aliases.length === 0) return () => null;
  const compiled = aliases
    .map(({ pattern, module }) => ({
      module: module.replaceAll('_', '-'),
      exact: pattern.replaceAll('*', '').length,
      matcher: new RegExp(`^${pattern.replaceAll('*', '.*')}$`),
    }))
    .sort((a, b) => b.exact - a.exact);
  return (modalias) => {
    const id = modalias.replace(/^pci:/, '');
    return compiled.find(({ matcher }) => matcher.test(id))?.module ?? null;
  };
}
